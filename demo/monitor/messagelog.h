// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef MESSAGELOG_H
#define MESSAGELOG_H

#include <QtCore/qabstractitemmodel.h>
#include <QtCore/qelapsedtimer.h>
#include <QtCore/qtimer.h>

#include <deque>

/// The last messages and events, oldest first.
///
/// Messages may come much faster than anybody can read: in each tenth of a second a tenth of
/// maximumRate() is kept, the rest is counted only, which costs next to nothing. Events are always
/// kept. Rows come and go in blocks, every 100 ms.
class MessageLog : public QAbstractTableModel
{
    Q_OBJECT

public:
    enum Direction { In, Out, Event };
    enum Column {
        TimeColumn,
        DirectionColumn,
        ClientColumn,
        SizeColumn,
        MessageColumn,
        ColumnCount
    };

    struct Message
    {
        quint64 number = 0; ///< given in the order of arrival, never twice
        qint64 msecs = 0; ///< since 1970
        Direction direction = Event;
        quint64 client = 0; ///< 0: an event of the server
        qint64 size = 0; ///< of the message as it came
        QByteArray data; ///< at most its first KeptBytes; of an event its text, UTF-8

        bool isCut() const { return data.size() < size; }
    };

    static constexpr qsizetype KeptBytes = 64 * 1024;
    static constexpr int PreviewLength = 300;
    static constexpr int SliceMilliseconds = 100;

    explicit MessageLog(QObject *parent = nullptr);

    int maximumEntries() const { return m_maximumEntries; }
    void setMaximumEntries(int entries);
    /// Of all messages together, those included that wait for the next block.
    qint64 maximumBytes() const { return m_maximumBytes; }
    void setMaximumBytes(qint64 bytes);
    /// Messages a second.
    int maximumRate() const { return m_maximumRate; }
    void setMaximumRate(int rate);

    void addMessage(Direction direction, quint64 client, const QByteArray &data);
    void addEvent(quint64 client, const QString &text);
    /// Counts messages that somebody else left out already.
    void addUnseen(qint64 messages);

    quint64 messagesSeen() const { return m_seen; }
    quint64 messagesTaken() const { return m_taken; }
    qint64 bytes() const { return m_bytes + m_waitingBytes; }

    /// While it is paused no row comes or goes. Events wait; messages are counted only, and an
    /// event tells of them afterwards.
    bool isPaused() const { return m_isPaused; }
    void setPaused(bool paused);

    /// "10 000 entries", "showing 2 000 of 48 700 messages/s", "paused, 17 messages not shown"
    QString status() const { return m_status; }

    void clear();

    /// Writes all rows, separated by tabs: time, direction, client, size, message.
    bool save(const QString &fileName, QString *error) const;
    /// A row as save() writes it.
    QString line(int row) const;

    const Message &message(int row) const { return m_messages[size_t(row)]; }
    /// False for one that had to make room.
    bool contains(quint64 number) const;

    static QString timeText(const Message &message);
    static QString directionText(Direction direction);
    static QString previewText(const Message &message);

    int rowCount(const QModelIndex &parent = {}) const override;
    int columnCount(const QModelIndex &parent = {}) const override;
    QVariant data(const QModelIndex &index, int role = Qt::DisplayRole) const override;
    QVariant headerData(int section, Qt::Orientation orientation,
                        int role = Qt::DisplayRole) const override;

Q_SIGNALS:
    void statusChanged();
    void pausedChanged(bool paused);

private:
    /// What one turn of the timer has counted.
    struct Slice
    {
        quint64 seen = 0;
        quint64 taken = 0;
        qint64 nsecs = 0;
    };

    void wait(Direction direction, quint64 client, const QByteArray &data);
    void tick();
    void insertWaiting();
    void dropOldest(size_t moreEntries, qint64 moreBytes);
    int nextAllowance();
    void wake();
    void forgetRate();
    Slice lastSecond() const;
    void updateStatus();

    std::deque<Message> m_messages;
    std::deque<Message> m_waiting; ///< for the next block
    qint64 m_bytes = 0;
    qint64 m_waitingBytes = 0;
    quint64 m_lastNumber = 0;

    int m_maximumEntries = 10'000;
    qint64 m_maximumBytes = 32 * 1024 * 1024;
    int m_maximumRate = 2'000;

    quint64 m_seen = 0;
    quint64 m_taken = 0;
    quint64 m_seenBefore = 0; ///< when this slice began
    quint64 m_takenBefore = 0;
    quint64 m_seenWhenPaused = 0;
    int m_allowance = 0; ///< messages that this slice may still take
    int m_sliceOfSecond = 0;
    bool m_isPaused = false;

    std::deque<Slice> m_slices; ///< of the last second
    QElapsedTimer m_sinceTick;
    QTimer m_timer; ///< runs only while there is something to do
    QString m_status;
    bool m_isSampling = false;
    int m_statusAge = 0; ///< in ticks
};

#endif // MESSAGELOG_H
