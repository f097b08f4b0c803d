// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef CLIENTSMODEL_H
#define CLIENTSMODEL_H

#include <QtNamedPipes/NamedPipeServerConnection>

#include <QtCore/qabstractitemmodel.h>
#include <QtCore/qelapsedtimer.h>
#include <QtCore/qhash.h>
#include <QtCore/qtimer.h>

#include <chrono>
#include <vector>

/// The clients of a server as a table. Nothing happens per message: counters are read by
/// refresh(). Clients that come and go are collected and shown together a moment later.
class ClientsModel : public QAbstractTableModel
{
    Q_OBJECT

public:
    enum Column {
        Id,
        Process,
        Program,
        User,
        ConnectedFor,
        MessagesIn,
        MessagesOut,
        BytesIn,
        BytesOut,
        Rate,
        Queued,
        State,
        ColumnCount
    };
    Q_ENUM(Column)

    enum Role {
        SortRole = Qt::UserRole, ///< the bare value: numbers as numbers
        CopyRole, ///< text for other programs: numbers in full, without grouping
        ClosedRole, ///< whether the client has gone
    };

    explicit ClientsModel(QObject *parent = nullptr);

    /// How long a client stays in the table when it has gone; 10 s unless set.
    void setKeepClosed(std::chrono::milliseconds time) { m_keepClosed = time; }

    void add(const NamedPipeServerConnectionPtr &connection);
    /// What went wrong, for the state of a client that has failed.
    void setError(const NamedPipeServerConnectionPtr &connection, const QString &message);
    void setClosed(const NamedPipeServerConnectionPtr &connection);
    /// Reads the counters of all clients and removes those that left long enough ago.
    void refresh();
    void clear();

    NamedPipeServerConnectionPtr client(int row) const;
    /// Clients that were added and are not closed, whether they are shown yet or not.
    int openCount() const { return m_open; }
    int closedCount() const { return int(m_rows.size()) - m_open; }

    int rowCount(const QModelIndex &parent = {}) const override;
    int columnCount(const QModelIndex &parent = {}) const override;
    QVariant data(const QModelIndex &index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation,
                        int role = Qt::DisplayRole) const override;

private:
    struct Row
    {
        NamedPipeServerConnectionPtr connection;
        QString program;
        QString user;
        QString error;
        qint64 connectedAt = 0; ///< times are milliseconds of m_clock
        qint64 closedAt = -1;
        bool closing = false;
        NamedPipe::Statistics statistics;
        qint64 queued = 0;
        double rate = 0;
        qint64 ratedAt = 0;
        quint64 ratedMessages = 0; ///< the messages until then
    };

    static bool isClosed(const Row &row) { return row.closedAt >= 0; }
    static bool isNumber(int column);
    static QString stateOf(const Row &row);
    QVariant bareValue(const Row &row, int column) const;
    QString text(const Row &row, int column) const;
    Row *find(const NamedPipeServerConnectionPtr &connection);
    const QString &programOf(qint64 pid);
    const QString &nameOf(const QString &userId);
    void readCounters(Row &row) const;
    void showChanges();
    void removeExpired();
    void reindex();

    std::vector<Row> m_rows; ///< the first m_shown are known to the views
    int m_shown = 0;
    int m_open = 0;
    bool m_changed = false; ///< a shown row has been closed since the last dataChanged
    QHash<const NamedPipeServerConnection *, int> m_index;
    QHash<qint64, QString> m_programs; ///< of the processes in the table: numbers are used again
    QHash<QString, QString> m_users;
    std::chrono::milliseconds m_keepClosed = std::chrono::seconds(10);
    QElapsedTimer m_clock;
    qint64 m_now = 0; ///< what is shown does not change between two signals, not even time
    QTimer m_changes;
};

#endif // CLIENTSMODEL_H
