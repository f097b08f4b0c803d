// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "messagelog.h"

#include "messagetext.h"
#include "texts.h"

#include <QtCore/qdatetime.h>
#include <QtCore/qsavefile.h>

#include <cmath>
#include <iterator>
#include <utility>

static constexpr qint64 SecondInNanoseconds = 1'000'000'000;
static constexpr int SlicesPerSecond = 1000 / MessageLog::SliceMilliseconds;
// Numbers that change ten times a second cannot be read.
static constexpr int TicksBetweenRates = 5;

MessageLog::MessageLog(QObject *parent) : QAbstractTableModel(parent)
{
    m_timer.setTimerType(Qt::PreciseTimer);
    m_timer.setInterval(SliceMilliseconds);
    connect(&m_timer, &QTimer::timeout, this, &MessageLog::tick);
    setMaximumRate(m_maximumRate);
    updateStatus();
}

// --- Limits ---

void MessageLog::setMaximumEntries(int entries)
{
    m_maximumEntries = qMax(1, entries);
    dropOldest(0, 0);
    updateStatus();
}

void MessageLog::setMaximumBytes(qint64 bytes)
{
    // One message has to fit into the quarter for those that wait.
    m_maximumBytes = qMax(qint64(4 * KeptBytes), bytes);
    dropOldest(0, 0);
    updateStatus();
}

void MessageLog::setMaximumRate(int rate)
{
    m_maximumRate = qMax(1, rate);
    if (!m_isPaused)
        m_allowance = qMax(1, nextAllowance());
}

/// A part of the rate, so that the parts of a second add up to it.
int MessageLog::nextAllowance()
{
    const qint64 rate = m_maximumRate;
    const qint64 before = rate * m_sliceOfSecond / SlicesPerSecond;
    const qint64 after = rate * (m_sliceOfSecond + 1) / SlicesPerSecond;
    m_sliceOfSecond = (m_sliceOfSecond + 1) % SlicesPerSecond;
    return int(after - before);
}

// --- Messages and events ---

void MessageLog::addMessage(Direction direction, quint64 client, const QByteArray &data)
{
    ++m_seen;
    if (m_allowance <= 0)
        return; // this is all that most messages of a flood cost
    --m_allowance;
    // Few, but large ones, reach this limit before the other.
    if (m_waitingBytes + qMin(data.size(), KeptBytes) > m_maximumBytes / 4)
        return;
    ++m_taken;
    wait(direction, client, data);
}

void MessageLog::addEvent(quint64 client, const QString &text)
{
    wait(Event, client, text.toUtf8());
}

void MessageLog::addUnseen(qint64 messages)
{
    if (messages <= 0)
        return;
    m_seen += quint64(messages);
    wake();
}

void MessageLog::wait(Direction direction, quint64 client, const QByteArray &data)
{
    Message message;
    message.number = ++m_lastNumber;
    message.msecs = QDateTime::currentMSecsSinceEpoch();
    message.direction = direction;
    message.client = client;
    message.size = data.size();
    // A copy of its own: the buffer behind the message may be larger, or not belong to it.
    message.data = QByteArray(data.constData(), qMin(data.size(), KeptBytes));
    m_waitingBytes += message.data.size();
    m_waiting.push_back(std::move(message));
    // Only events can come to this, and then the oldest would not stay long anyway.
    while (m_waiting.size() > size_t(m_maximumEntries) || m_waitingBytes > m_maximumBytes / 4) {
        m_waitingBytes -= m_waiting.front().data.size();
        m_waiting.pop_front();
    }
    wake();
}

void MessageLog::wake()
{
    if (m_timer.isActive())
        return;
    m_sinceTick.start();
    m_timer.start();
}

void MessageLog::tick()
{
    m_slices.push_back(
            { m_seen - m_seenBefore, m_taken - m_takenBefore, m_sinceTick.nsecsElapsed() });
    m_sinceTick.start();
    m_seenBefore = m_seen;
    m_takenBefore = m_taken;
    qint64 nsecs = lastSecond().nsecs;
    while (nsecs - m_slices.front().nsecs >= SecondInNanoseconds) {
        nsecs -= m_slices.front().nsecs;
        m_slices.pop_front();
    }
    if (!m_isPaused) {
        m_allowance = nextAllowance();
        insertWaiting();
        if (m_waiting.empty() && m_seen == m_seenBefore && lastSecond().seen == 0) {
            m_allowance = qMax(1, m_allowance); // or nothing would wake it
            m_timer.stop();
            m_slices.clear();
        }
    }
    updateStatus();
}

void MessageLog::insertWaiting()
{
    if (m_waiting.empty())
        return;
    // Whoever hears of the new rows may add more.
    std::deque<Message> block;
    block.swap(m_waiting);
    const qint64 blockBytes = std::exchange(m_waitingBytes, 0);

    dropOldest(block.size(), blockBytes);
    const int first = int(m_messages.size());
    beginInsertRows({}, first, first + int(block.size()) - 1);
    m_messages.insert(m_messages.end(), std::make_move_iterator(block.begin()),
                      std::make_move_iterator(block.end()));
    m_bytes += blockBytes;
    endInsertRows();
}

/// Makes room.
void MessageLog::dropOldest(size_t moreEntries, qint64 moreBytes)
{
    const qint64 allowed = m_maximumBytes - m_maximumBytes / 4; // the rest is for those that wait
    size_t dropped = 0;
    qint64 droppedBytes = 0;
    while (dropped < m_messages.size()
           && (m_messages.size() - dropped + moreEntries > size_t(m_maximumEntries)
               || m_bytes - droppedBytes + moreBytes > allowed)) {
        droppedBytes += m_messages[dropped].data.size();
        ++dropped;
    }
    if (dropped == 0)
        return;
    beginRemoveRows({}, 0, int(dropped) - 1);
    m_messages.erase(m_messages.begin(), m_messages.begin() + std::ptrdiff_t(dropped));
    m_bytes -= droppedBytes;
    endRemoveRows();
}

bool MessageLog::contains(quint64 number) const
{
    return !m_messages.empty() && number >= m_messages.front().number
            && number <= m_messages.back().number;
}

void MessageLog::clear()
{
    beginResetModel();
    m_messages.clear();
    m_waiting.clear();
    m_bytes = 0;
    m_waitingBytes = 0;
    endResetModel();
    m_seenWhenPaused = m_seen;
    forgetRate();
    updateStatus();
}

// --- Pause and status ---

void MessageLog::setPaused(bool paused)
{
    if (m_isPaused == paused)
        return;
    if (paused) {
        insertWaiting(); // it came before
        m_allowance = 0;
        m_seenWhenPaused = m_seen;
        wake(); // the status goes on counting
    } else {
        const quint64 unseen = m_seen - m_seenWhenPaused;
        if (unseen > 0)
            addEvent(0, tr("paused: %1 messages not shown").arg(formatCount(double(unseen))));
        forgetRate();
        insertWaiting();
        // The next slice brings a new allowance.
    }
    m_isPaused = paused;
    updateStatus();
    Q_EMIT pausedChanged(paused);
}

void MessageLog::forgetRate()
{
    m_slices.clear();
    m_seenBefore = m_seen;
    m_takenBefore = m_taken;
}

MessageLog::Slice MessageLog::lastSecond() const
{
    Slice sum;
    for (const Slice &slice : m_slices) {
        sum.seen += slice.seen;
        sum.taken += slice.taken;
        sum.nsecs += slice.nsecs;
    }
    return sum;
}

void MessageLog::updateStatus()
{
    const Slice second = lastSecond();
    const bool isSampling = !m_isPaused && second.taken < second.seen;
    if (isSampling && m_isSampling && ++m_statusAge < TicksBetweenRates)
        return;
    m_isSampling = isSampling;
    m_statusAge = 0;

    QString status;
    if (m_isPaused) {
        const quint64 unseen = m_seen - m_seenWhenPaused;
        status = unseen == 0 ? tr("paused")
                : unseen == 1
                ? tr("paused, 1 message not shown")
                : tr("paused, %1 messages not shown").arg(formatCount(double(unseen)));
    } else if (isSampling) {
        // The first tenths count as a second, too: a burst is not a rate of ten times its size.
        const double seconds = double(qMax(second.nsecs, SecondInNanoseconds)) / 1e9;
        status = tr("showing %1 of %2 messages/s")
                         .arg(formatCount(std::round(double(second.taken) / seconds)),
                              formatCount(std::round(double(second.seen) / seconds)));
    } else {
        const int entries = rowCount();
        status = entries == 1 ? tr("1 entry") : tr("%1 entries").arg(formatCount(entries));
    }
    if (status == m_status)
        return;
    m_status = status;
    Q_EMIT statusChanged();
}

// --- The rows as text ---

QString MessageLog::timeText(const Message &message)
{
    return QDateTime::fromMSecsSinceEpoch(message.msecs).toString(QStringLiteral("hh:mm:ss.zzz"));
}

QString MessageLog::directionText(Direction direction)
{
    switch (direction) {
    case In:
        return QChar(0x2193) + QLatin1Char(' ') + tr("in");
    case Out:
        return QChar(0x2191) + QLatin1Char(' ') + tr("out");
    case Event:
        break;
    }
    return QChar(0x2022) + QLatin1Char(' ') + tr("event");
}

QString MessageLog::previewText(const Message &message)
{
    if (message.direction == Event)
        return visibleText(QString::fromUtf8(message.data.left(3 * PreviewLength)));
    return preview(message.data, PreviewLength);
}

QString MessageLog::line(int row) const
{
    const Message &shown = message(row);
    const bool isEvent = shown.direction == Event;
    QString text = savedText(shown.isCut() ? withoutHalfCharacter(shown.data) : shown.data);
    if (shown.isCut())
        text += QChar(0x2026);
    const QString direction = isEvent ? QStringLiteral("event")
            : shown.direction == In   ? QStringLiteral("in")
                                      : QStringLiteral("out");
    const QStringList fields {
        QDateTime::fromMSecsSinceEpoch(shown.msecs).toString(Qt::ISODateWithMs), direction,
        shown.client ? QString::number(shown.client) : QString(),
        isEvent ? QString() : QString::number(shown.size), text
    };
    return fields.join(u'\t');
}

bool MessageLog::save(const QString &fileName, QString *error) const
{
    QSaveFile file(fileName);
    if (file.open(QIODevice::WriteOnly)) {
        file.write("time\tdirection\tclient\tsize\tmessage\n");
        for (int row = 0; row < rowCount(); ++row)
            file.write(line(row).toUtf8() + '\n');
        if (file.commit())
            return true;
    }
    if (error)
        *error = file.errorString();
    return false;
}

// --- The model ---

int MessageLog::rowCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : int(m_messages.size());
}

int MessageLog::columnCount(const QModelIndex &parent) const
{
    return parent.isValid() ? 0 : int(ColumnCount);
}

QVariant MessageLog::data(const QModelIndex &index, int role) const
{
    if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid))
        return {};
    const Message &shown = message(index.row());
    const int column = index.column();
    if (role == Qt::TextAlignmentRole) {
        const bool isNumber = column == ClientColumn || column == SizeColumn;
        return int((isNumber ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    }
    if (role != Qt::DisplayRole)
        return {};
    switch (column) {
    case TimeColumn:
        return timeText(shown);
    case DirectionColumn:
        return directionText(shown.direction);
    case ClientColumn:
        return shown.client ? QString::number(shown.client) : QString();
    case SizeColumn:
        return shown.direction == Event ? QString() : formatBytes(double(shown.size));
    case MessageColumn:
        return previewText(shown);
    default:
        return {};
    }
}

QVariant MessageLog::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal || section < 0 || section >= ColumnCount)
        return {};
    if (role == Qt::TextAlignmentRole) {
        const bool isNumber = section == ClientColumn || section == SizeColumn;
        return int((isNumber ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
    }
    if (role != Qt::DisplayRole)
        return {};
    const QString names[] = { tr("Time"), tr("Direction"), tr("Client"), tr("Size"),
                              tr("Message") };
    return names[section];
}
