// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_NAMEDPIPECLIENTMANAGER_H
#define QTNAMEDPIPES_NAMEDPIPECLIENTMANAGER_H

#include <QtNamedPipes/namedpipe.h>
#include <QtNamedPipes/namedpipeclientconnection.h>

#include <QtCore/qlist.h>
#include <QtCore/qobject.h>
#include <QtCore/qstring.h>
#include <QtCore/qstringlist.h>

#include <functional>
#include <memory>

class NamedPipeClientManagerPrivate;

/// Connects to servers, and drives all connections that it has made through one completion port.
class QTNAMEDPIPES_EXPORT NamedPipeClientManager : public QObject
{
    Q_OBJECT
    Q_PROPERTY(bool continuouslyReadFromPipe READ continuouslyReadFromPipe WRITE
                       setContinuouslyReadFromPipe NOTIFY continuouslyReadFromPipeChanged)
    Q_PROPERTY(bool freeThreadingEvents READ freeThreadingEvents WRITE setFreeThreadingEvents NOTIFY
                       freeThreadingEventsChanged)
    Q_PROPERTY(int messageBufferSize READ messageBufferSize WRITE setMessageBufferSize NOTIFY
                       messageBufferSizeChanged)
    Q_PROPERTY(int numThreadsIOCP READ numThreadsIOCP WRITE setNumThreadsIOCP NOTIFY
                       numThreadsIOCPChanged)
    Q_PROPERTY(qint64 maximumMessageSize READ maximumMessageSize WRITE setMaximumMessageSize NOTIFY
                       maximumMessageSizeChanged)
    Q_PROPERTY(qint64 maximumPendingReadBytes READ maximumPendingReadBytes WRITE
                       setMaximumPendingReadBytes NOTIFY maximumPendingReadBytesChanged)
    Q_PROPERTY(qint64 maximumPendingWriteBytes READ maximumPendingWriteBytes WRITE
                       setMaximumPendingWriteBytes NOTIFY maximumPendingWriteBytesChanged)
    Q_PROPERTY(int connectTimeout READ connectTimeout WRITE setConnectTimeout NOTIFY
                       connectTimeoutChanged)
    Q_PROPERTY(bool waitForServer READ waitForServer WRITE setWaitForServer NOTIFY
                       waitForServerChanged)
    Q_PROPERTY(NamedPipe::ServerAccess serverAccess READ serverAccess WRITE setServerAccess NOTIFY
                       serverAccessChanged)
    Q_PROPERTY(bool autoReconnect READ autoReconnect WRITE setAutoReconnect NOTIFY
                       autoReconnectChanged)
    Q_PROPERTY(int minimumReconnectDelay READ minimumReconnectDelay WRITE setMinimumReconnectDelay
                       NOTIFY minimumReconnectDelayChanged)
    Q_PROPERTY(int maximumReconnectDelay READ maximumReconnectDelay WRITE setMaximumReconnectDelay
                       NOTIFY maximumReconnectDelayChanged)

public:
    using ServerAccess = NamedPipe::ServerAccess;
    static constexpr ServerAccess AnyUser = NamedPipe::AnyUser;
    static constexpr ServerAccess CurrentUser = NamedPipe::CurrentUser;

    explicit NamedPipeClientManager(QObject *parent = nullptr);
    ~NamedPipeClientManager() override;

    bool continuouslyReadFromPipe() const;
    void setContinuouslyReadFromPipe(bool on);

    bool freeThreadingEvents() const;
    void setFreeThreadingEvents(bool on);

    int messageBufferSize() const;
    void setMessageBufferSize(int bytes);

    int numThreadsIOCP() const;
    void setNumThreadsIOCP(int threads);

    qint64 maximumMessageSize() const;
    void setMaximumMessageSize(qint64 bytes);

    qint64 maximumPendingReadBytes() const;
    void setMaximumPendingReadBytes(qint64 bytes);

    qint64 maximumPendingWriteBytes() const;
    void setMaximumPendingWriteBytes(qint64 bytes);

    int connectTimeout() const;
    void setConnectTimeout(int msecs);

    bool waitForServer() const;
    void setWaitForServer(bool on);

    NamedPipe::ServerAccess serverAccess() const;
    void setServerAccess(NamedPipe::ServerAccess access);

    bool autoReconnect() const;
    void setAutoReconnect(bool on);

    int minimumReconnectDelay() const;
    void setMinimumReconnectDelay(int msecs);

    int maximumReconnectDelay() const;
    void setMaximumReconnectDelay(int msecs);

    /// Called with a new connection before anything happens with it: the place to connect signals
    /// in free-threaded mode.
    using Preparation = std::function<void(const NamedPipeClientConnectionPtr &connection)>;

    /// Begins to connect, and returns at once: never null.
    NamedPipeClientConnectionPtr connectToServer(const QString &pipeName);
    NamedPipeClientConnectionPtr connectToServer(const QString &pipeName,
                                                 const Preparation &prepare);

    /// The pipes of this machine whose names match \a pattern, with * and ? in it.
    QStringList findNamedPipes(const QString &pattern = QStringLiteral("*")) const;

    /// The connections that are connected at this moment, in the order of their making.
    QList<NamedPipeClientConnectionPtr> connections() const;
    int connectionCount() const;
    /// The traffic of all connections since the first one, or the first one after stop().
    NamedPipe::Statistics statistics() const;

public Q_SLOTS:
    void stop();

Q_SIGNALS:
    void continuouslyReadFromPipeChanged();
    void freeThreadingEventsChanged();
    void messageBufferSizeChanged();
    void numThreadsIOCPChanged();
    void maximumMessageSizeChanged();
    void maximumPendingReadBytesChanged();
    void maximumPendingWriteBytesChanged();
    void connectTimeoutChanged();
    void waitForServerChanged();
    void serverAccessChanged();
    void autoReconnectChanged();
    void minimumReconnectDelayChanged();
    void maximumReconnectDelayChanged();

protected:
    bool event(QEvent *event) override;

private:
    friend class NamedPipeClientManagerPrivate;
    Q_DISABLE_COPY_MOVE(NamedPipeClientManager)

    const std::unique_ptr<NamedPipeClientManagerPrivate> d;
};

#endif // QTNAMEDPIPES_NAMEDPIPECLIENTMANAGER_H
