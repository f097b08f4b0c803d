// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "clientsmodel.h"

#include "colors.h"
#include "processinfo.h"
#include "texts.h"

#include <QtGui/qbrush.h>
#include <QtGui/qguiapplication.h>
#include <QtGui/qpalette.h>

using namespace std::chrono_literals;
using namespace Qt::StringLiterals;

/// A crowd that comes within this time is one change for the views.
static constexpr auto Gathering = 30ms;

/// A rate over less than this would jump about.
static constexpr qint64 ShortestInterval = 100;

/// Each removal of a block has its price in a sorted view with a selection; input goes first.
static constexpr int BlocksAtATime = 50;

ClientsModel::ClientsModel(QObject *parent) : QAbstractTableModel(parent)
{
    m_clock.start();
    m_changes.setSingleShot(true);
    m_changes.setInterval(Gathering);
    connect(&m_changes, &QTimer::timeout, this, &ClientsModel::showChanges);
}

void ClientsModel::add(const NamedPipeServerConnectionPtr &connection)
{
    if (!connection || m_index.contains(connection.get()))
        return;
    Row row;
    row.connection = connection;
    // At once: the process may be a short-lived one.
    row.program = programOf(connection->clientProcessId());
    row.user = nameOf(connection->clientUserId());
    row.connectedAt = row.ratedAt = m_clock.elapsed();
    m_index.insert(connection.get(), int(m_rows.size()));
    m_rows.push_back(std::move(row));
    ++m_open;
    if (!m_changes.isActive())
        m_changes.start();
}

void ClientsModel::setError(const NamedPipeServerConnectionPtr &connection, const QString &message)
{
    // There are errors which a connection survives, and the first one is the reason of its end.
    Row *row = find(connection);
    if (row && row->error.isEmpty() && connection->closeReason() == NamedPipe::Failed)
        row->error = message;
}

void ClientsModel::setClosed(const NamedPipeServerConnectionPtr &connection)
{
    Row *row = find(connection);
    if (!row || isClosed(*row))
        return;
    row->closedAt = m_clock.elapsed();
    row->statistics = connection->statistics();
    row->rate = 0;
    row->queued = 0;
    --m_open;
    m_changed = true;
    if (!m_changes.isActive())
        m_changes.start();
}

void ClientsModel::refresh()
{
    m_now = m_clock.elapsed();
    for (Row &row : m_rows) {
        if (!isClosed(row))
            readCounters(row);
    }
    m_changed = true;
    showChanges();
}

void ClientsModel::clear()
{
    m_changes.stop();
    beginResetModel();
    m_rows.clear();
    m_index.clear();
    m_programs.clear();
    m_shown = 0;
    m_open = 0;
    m_changed = false;
    endResetModel();
}

NamedPipeServerConnectionPtr ClientsModel::client(int row) const
{
    return row >= 0 && row < m_shown ? m_rows[size_t(row)].connection
                                     : NamedPipeServerConnectionPtr();
}

int ClientsModel::rowCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : m_shown;
}

int ClientsModel::columnCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : int(ColumnCount);
}

QVariant ClientsModel::data(const QModelIndex &index, int role) const
{
    if (!index.isValid() || index.row() >= m_shown)
        return {};
    const Row &row = m_rows[size_t(index.row())];
    const int column = index.column();
    switch (role) {
    case Qt::DisplayRole:
        return text(row, column);
    case Qt::ToolTipRole: // what may be shortened in the cell
        if (column == BytesIn || column == BytesOut || column == Queued)
            return tr("%1 bytes").arg(formatWhole(bareValue(row, column).toLongLong()));
        if (column == MessagesIn || column == MessagesOut)
            return tr("%1 messages").arg(formatWhole(bareValue(row, column).toLongLong()));
        return text(row, column);
    case Qt::TextAlignmentRole:
        return int(Qt::AlignVCenter | (isNumber(column) ? Qt::AlignRight : Qt::AlignLeft));
    case Qt::ForegroundRole:
        if (isClosed(row)) {
            const QPalette palette = QGuiApplication::palette();
            return QBrush(mixedColor(palette.color(QPalette::Active, QPalette::Text),
                                     palette.color(QPalette::Active, QPalette::Base), 60));
        }
        return {};
    case SortRole:
        return bareValue(row, column);
    case CopyRole:
        if (column == Rate)
            return QString::number(row.rate, 'f', 1);
        if (isNumber(column) && column != ConnectedFor)
            return bareValue(row, column).toString();
        return text(row, column);
    case ClosedRole:
        return isClosed(row);
    default:
        return {};
    }
}

QVariant ClientsModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || section < 0 || section >= ColumnCount)
        return {};
    struct Header
    {
        const char *title;
        const char *toolTip;
    };
    // Large numbers carry their unit in the cell, where it changes.
    static constexpr Header Headers[ColumnCount] = {
        { QT_TR_NOOP("#"), QT_TR_NOOP("Number of the connection, in the order of arrival") },
        { QT_TR_NOOP("Process"), QT_TR_NOOP("Number (id) of the client's process") },
        { QT_TR_NOOP("Program"), QT_TR_NOOP("Name of the program that runs in this process") },
        { QT_TR_NOOP("User"), QT_TR_NOOP("User who runs the client") },
        { QT_TR_NOOP("Connected"),
          QT_TR_NOOP("How long the client has been, or was, connected (time)") },
        { QT_TR_NOOP("Messages in"), QT_TR_NOOP("Messages received from the client (number)") },
        { QT_TR_NOOP("Messages out"), QT_TR_NOOP("Messages sent to the client (number)") },
        { QT_TR_NOOP("Bytes in"), QT_TR_NOOP("Payload received from the client (bytes)") },
        { QT_TR_NOOP("Bytes out"), QT_TR_NOOP("Payload sent to the client (bytes)") },
        { QT_TR_NOOP("Messages/s"),
          QT_TR_NOOP("Messages per second, received and sent, since the last refresh") },
        { QT_TR_NOOP("Queued"),
          QT_TR_NOOP("Payload that waits to be accepted by the operating system (bytes)") },
        { QT_TR_NOOP("State"), QT_TR_NOOP("Whether the client is connected, and if not, why") },
    };
    switch (role) {
    case Qt::DisplayRole:
        return tr(Headers[section].title);
    case Qt::ToolTipRole:
        return tr(Headers[section].toolTip);
    case Qt::TextAlignmentRole:
        return int(Qt::AlignVCenter | (isNumber(section) ? Qt::AlignRight : Qt::AlignLeft));
    default:
        return {};
    }
}

bool ClientsModel::isNumber(int column)
{
    return column != Program && column != User && column != State;
}

QString ClientsModel::stateOf(const Row &row)
{
    if (!isClosed(row))
        return row.closing ? tr("Closing") : tr("Connected");
    switch (row.connection->closeReason()) {
    case NamedPipe::StillOpen:
        break;
    case NamedPipe::ClosedByClient:
        return tr("Closed by client");
    case NamedPipe::ClosedByServer:
        return tr("Closed by server");
    case NamedPipe::ServerStopped:
        return tr("Server stopped");
    case NamedPipe::Failed:
        return row.error.isEmpty() ? tr("Failed") : tr("Failed: %1").arg(row.error);
    }
    return tr("Closed");
}

QVariant ClientsModel::bareValue(const Row &row, int column) const
{
    switch (column) {
    case Id:
        return row.connection->id();
    case Process:
        return row.connection->clientProcessId();
    case ConnectedFor:
        return qMax((isClosed(row) ? row.closedAt : m_now) - row.connectedAt, qint64(0));
    case MessagesIn:
        return row.statistics.messagesReceived;
    case MessagesOut:
        return row.statistics.messagesSent;
    case BytesIn:
        return row.statistics.bytesReceived;
    case BytesOut:
        return row.statistics.bytesSent;
    case Rate:
        return row.rate;
    case Queued:
        return row.queued;
    default:
        return text(row, column);
    }
}

QString ClientsModel::text(const Row &row, int column) const
{
    switch (column) {
    case Id:
        return QString::number(row.connection->id());
    case Process: {
        const qint64 pid = row.connection->clientProcessId();
        return pid > 0 ? QString::number(pid) : tr("unknown");
    }
    case Program:
        return row.program.isEmpty() ? tr("unknown") : row.program;
    case User:
        return row.user.isEmpty() ? tr("unknown") : row.user;
    case ConnectedFor:
        return formatDuration(bareValue(row, column).toLongLong());
    case MessagesIn:
    case MessagesOut:
    case Rate:
        return formatCount(bareValue(row, column).toDouble());
    case BytesIn:
    case BytesOut:
    case Queued:
        return formatBytes(bareValue(row, column).toDouble());
    case State:
        return stateOf(row);
    default:
        return {};
    }
}

ClientsModel::Row *ClientsModel::find(const NamedPipeServerConnectionPtr &connection)
{
    const auto found = m_index.constFind(connection.get());
    return found == m_index.constEnd() ? nullptr : &m_rows[size_t(*found)];
}

const QString &ClientsModel::programOf(qint64 pid)
{
    const auto known = m_programs.find(pid);
    return known != m_programs.end() ? *known : *m_programs.insert(pid, processName(pid));
}

const QString &ClientsModel::nameOf(const QString &userId)
{
    const auto known = m_users.find(userId);
    return known != m_users.end() ? *known : *m_users.insert(userId, userName(userId));
}

void ClientsModel::readCounters(Row &row) const
{
    row.closing = !row.connection->isConnected();
    row.queued = row.connection->bytesToWrite();
    row.statistics = row.connection->statistics();
    const qint64 interval = m_now - row.ratedAt;
    if (interval < ShortestInterval)
        return;
    const quint64 messages = row.statistics.messagesReceived + row.statistics.messagesSent;
    row.rate = double(messages - row.ratedMessages) * 1000 / double(interval);
    row.ratedAt = m_now;
    row.ratedMessages = messages;
}

void ClientsModel::showChanges()
{
    m_changes.stop();
    m_now = m_clock.elapsed();
    removeExpired();
    if (m_changed && m_shown > 0)
        Q_EMIT dataChanged(index(0, 0), index(m_shown - 1, ColumnCount - 1));
    m_changed = false;
    const int all = int(m_rows.size());
    if (m_shown < all) {
        beginInsertRows({}, m_shown, all - 1);
        m_shown = all;
        endInsertRows();
    }
}

/// Takes them out in blocks, so that a crowd that left together is one removal for the views.
void ClientsModel::removeExpired()
{
    const auto isExpired = [&](int row) {
        const Row &candidate = m_rows[size_t(row)];
        return isClosed(candidate) && m_now - candidate.closedAt >= m_keepClosed.count();
    };
    int blocks = 0;
    for (int last = m_shown - 1; last >= 0; --last) {
        if (!isExpired(last))
            continue;
        if (++blocks > BlocksAtATime) {
            m_changes.start();
            break;
        }
        int first = last;
        while (first > 0 && isExpired(first - 1))
            --first;
        beginRemoveRows({}, first, last);
        m_rows.erase(m_rows.begin() + first, m_rows.begin() + last + 1);
        m_shown -= last - first + 1;
        endRemoveRows();
        last = first;
    }
    if (blocks > 0)
        reindex();
}

void ClientsModel::reindex()
{
    m_index.clear();
    QHash<qint64, QString> programs;
    for (const Row &row : m_rows) {
        m_index.insert(row.connection.get(), int(m_index.size()));
        programs.insert(row.connection->clientProcessId(), row.program);
    }
    m_programs.swap(programs);
}
