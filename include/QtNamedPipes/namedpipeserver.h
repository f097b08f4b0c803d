// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPESERVER_H
#define QTNAMEDPIPES_NAMEDPIPESERVER_H

#include <QtNamedPipes/namedpipe.h>
#include <QtNamedPipes/namedpipemessagebatch.h>
#include <QtNamedPipes/namedpipeserverconnection.h>

#include <QtCore/qlist.h>
#include <QtCore/qobject.h>
#include <QtCore/qstring.h>

#include <memory>

class NamedPipeServerPrivate;

/// Hosts one named pipe in message mode for any number of clients.
class QTNAMEDPIPES_EXPORT NamedPipeServer : public QObject
{
    Q_OBJECT
    Q_PROPERTY(QString pipeName READ pipeName WRITE setPipeName NOTIFY pipeNameChanged)
    Q_PROPERTY(bool continuouslyReadFromPipe READ continuouslyReadFromPipe WRITE
                       setContinuouslyReadFromPipe NOTIFY continuouslyReadFromPipeChanged)
    Q_PROPERTY(bool freeThreadingEvents READ freeThreadingEvents WRITE setFreeThreadingEvents NOTIFY
                       freeThreadingEventsChanged)
    Q_PROPERTY(int messageBufferSize READ messageBufferSize WRITE setMessageBufferSize NOTIFY
                       messageBufferSizeChanged)
    Q_PROPERTY(int numThreadsIOCP READ numThreadsIOCP WRITE setNumThreadsIOCP NOTIFY
                       numThreadsIOCPChanged)
    Q_PROPERTY(int listenBacklogSize READ listenBacklogSize WRITE setListenBacklogSize NOTIFY
                       listenBacklogSizeChanged)
    Q_PROPERTY(int maxConnections READ maxConnections WRITE setMaxConnections NOTIFY
                       maxConnectionsChanged)
    Q_PROPERTY(qint64 maximumMessageSize READ maximumMessageSize WRITE setMaximumMessageSize NOTIFY
                       maximumMessageSizeChanged)
    Q_PROPERTY(qint64 maximumPendingReadBytes READ maximumPendingReadBytes WRITE
                       setMaximumPendingReadBytes NOTIFY maximumPendingReadBytesChanged)
    Q_PROPERTY(qint64 maximumPendingWriteBytes READ maximumPendingWriteBytes WRITE
                       setMaximumPendingWriteBytes NOTIFY maximumPendingWriteBytesChanged)
    Q_PROPERTY(NamedPipe::AccessOptions accessOptions READ accessOptions WRITE setAccessOptions
                       NOTIFY accessOptionsChanged)
    Q_PROPERTY(QString securityDescriptor READ securityDescriptor WRITE setSecurityDescriptor NOTIFY
                       securityDescriptorChanged)
    Q_PROPERTY(bool isRunning READ isRunning NOTIFY runningChanged)
    Q_PROPERTY(QString fullPipeName READ fullPipeName NOTIFY fullPipeNameChanged)

public:
    using AccessOption = NamedPipe::AccessOption;
    using AccessOptions = NamedPipe::AccessOptions;
    static constexpr AccessOption UserAccess = NamedPipe::UserAccess;
    static constexpr AccessOption GroupAccess = NamedPipe::GroupAccess;
    static constexpr AccessOption OtherAccess = NamedPipe::OtherAccess;
    static constexpr AccessOption WorldAccess = NamedPipe::WorldAccess;

    explicit NamedPipeServer(QObject *parent = nullptr);
    explicit NamedPipeServer(const QString &pipeName, QObject *parent = nullptr);
    ~NamedPipeServer() override;

    QString pipeName() const;
    void setPipeName(const QString &name);

    bool continuouslyReadFromPipe() const;
    void setContinuouslyReadFromPipe(bool on);

    bool freeThreadingEvents() const;
    void setFreeThreadingEvents(bool on);

    int messageBufferSize() const;
    void setMessageBufferSize(int bytes);

    int numThreadsIOCP() const;
    void setNumThreadsIOCP(int threads);

    int listenBacklogSize() const;
    void setListenBacklogSize(int clients);

    int maxConnections() const;
    void setMaxConnections(int connections);

    qint64 maximumMessageSize() const;
    void setMaximumMessageSize(qint64 bytes);

    qint64 maximumPendingReadBytes() const;
    void setMaximumPendingReadBytes(qint64 bytes);

    qint64 maximumPendingWriteBytes() const;
    void setMaximumPendingWriteBytes(qint64 bytes);

    NamedPipe::AccessOptions accessOptions() const;
    void setAccessOptions(NamedPipe::AccessOptions options);

    QString securityDescriptor() const;
    void setSecurityDescriptor(const QString &sddl);

    bool isRunning() const;
    QString fullPipeName() const;
    NamedPipe::Error error() const;
    QString errorString() const;

    /// The clients that are connected at this moment, in the order of their arrival.
    QList<NamedPipeServerConnectionPtr> connections() const;
    int connectionCount() const;
    NamedPipe::ServerStatistics statistics() const;

public Q_SLOTS:
    bool start();
    void stop();
    bool stopWhenSent(int msecs);
    int asyncBroadcast(const QByteArray &data, const QVariant &cookie = QVariant());
    void manualMessageLoopEnter();
    void manualMessageLoopLeave();

Q_SIGNALS:
    void serverReady();
    void clientConnected(const NamedPipeServerConnectionPtr &connection);
    void clientDisconnected(const NamedPipeServerConnectionPtr &connection);
    void clientMessageReceived(const NamedPipeServerConnectionPtr &connection,
                               const QVariant &cookie, const QByteArray &data);
    void clientMessageBatchReceived(const NamedPipeServerConnectionPtr &connection,
                                    const NamedPipeMessageBatch &messages);
    void clientMessageSent(const NamedPipeServerConnectionPtr &connection, const QVariant &cookie);
    void clientErrorOccurred(const NamedPipeServerConnectionPtr &connection, NamedPipe::Error error,
                             const QString &message);
    void stopped();
    void errorOccurred(NamedPipe::Error error, const QString &message);

    void pipeNameChanged();
    void continuouslyReadFromPipeChanged();
    void freeThreadingEventsChanged();
    void messageBufferSizeChanged();
    void numThreadsIOCPChanged();
    void listenBacklogSizeChanged();
    void maxConnectionsChanged();
    void maximumMessageSizeChanged();
    void maximumPendingReadBytesChanged();
    void maximumPendingWriteBytesChanged();
    void accessOptionsChanged();
    void securityDescriptorChanged();
    void runningChanged();
    void fullPipeNameChanged();

protected:
    bool event(QEvent *event) override;
    void connectNotify(const QMetaMethod &signal) override;

private:
    friend class NamedPipeServerPrivate;
    friend class ServerConnectionFace;
    Q_DISABLE_COPY_MOVE(NamedPipeServer)

    const std::unique_ptr<NamedPipeServerPrivate> d;
};

#endif // QTNAMEDPIPES_NAMEDPIPESERVER_H
