// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// PipeConnection, on a transport that does what the input says, against a model that knows only what
// is promised: what is delivered, in which order, which cookies are told, what the limits and the
// counters are. The fake transport checks the rules of the seam besides.

#include "fakeserver.h"
#include "fuzzing.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qloggingcategory.h>
#include <QtCore/qscopeguard.h>
#include <QtTest/qtestcase.h>

#include <algorithm>
#include <deque>
#include <stdexcept>

using namespace QtNamedPipes;
using Fuzzing::check;
using Fuzzing::Input;

namespace {

class Session
{
public:
    Session(Input &input, const HubSettings &settings, bool continuous);

    void run();

private:
    enum class Phase { Open, Draining, Closing };
    enum class Choice { Write, Broadcast, Read, CloseNow, CloseWhenSent, Deliver, Throw };

    struct Written
    {
        QByteArray data;
        int cookie;
        bool isBroadcast;
    };

    // What the input chooses.
    void step();
    void choose(Choice choice, quint32 size);
    void receive(quint32 kind);
    void write(quint32 size, bool isBroadcast);
    void read();
    void close(NamedPipe::CloseMode mode);
    void finishWrite(WriteProgress::Status status);
    void deliver();
    void end();

    // What the connection does.
    void event(const FakeEvent &event);
    void messageCame(const FakeEvent &event);
    void ending();
    void readStarts();

    // The model.
    void expect(bool holds, const char *rule);
    void sync();
    void closes(NamedPipe::CloseReason reason, NamedPipe::Error error = NamedPipe::NoError);
    bool isPast(qint64 limit) const;
    bool mayDeliver() const;
    qsizetype inHand() const;
    qint64 bytesToWrite() const;
    void compare();
    void compareAtRest();

    Input &m_input;
    const HubSettings m_settings;
    const bool m_isClient;
    const qint64 m_readLimit;
    FakeServer m_server;
    std::shared_ptr<FakeEndpoint> m_end;
    std::shared_ptr<PipeConnection> m_connection;
    const char *m_finding =
            nullptr; ///< an exception of the model's own would be taken for a slot's
    int m_lastCookie = 0;
    quint32 m_bytes = 0;
    std::deque<quint32> m_slots; ///< what the next slots do
    int m_depth = 0; ///< of slots on the stack

    Phase m_phase = Phase::Open;
    bool m_isConnected = true;
    bool m_isPeerGone = false;
    bool m_isStopping = false;
    NamedPipe::CloseReason m_reason = NamedPipe::StillOpen;
    NamedPipe::Error m_closeError = NamedPipe::NoError;
    bool m_opens = true; ///< opened() comes, or has come
    bool m_hasOpened = false;
    bool m_hasEnded = false; ///< the last events have begun
    bool m_isClosed = false;

    bool m_continuous;
    bool m_isDelivering = true; ///< false: what is received is dropped
    bool m_readEnded = false;
    bool m_isPaused = false;
    std::deque<QByteArray> m_received; ///< and not delivered
    size_t m_told = 0; ///< so many of them were in a batch, and come one by one, too
    std::deque<int> m_requests;

    std::deque<Written> m_unsent;
    qsizetype m_sent = 0; ///< messages that the endpoint has accepted
    qsizetype m_writeEnd = 0; ///< that, when the write that is outstanding will be done
    bool m_writesNoMore = false;
    std::deque<int> m_sentUntold;
    std::deque<NamedPipe::Error> m_errors;
    NamedPipe::Statistics m_statistics;
};

Session::Session(Input &input, const HubSettings &settings, bool continuous)
    : m_input(input),
      m_settings(settings),
      m_isClient(settings.side == Side::Client),
      m_readLimit(settings.maximumPendingReadBytes),
      m_server(settings, continuous),
      m_continuous(continuous)
{
    m_server.listensToSent = input.flag();
    m_server.engine->maximumWrite = 5000;
    const quint32 listeners = input.byte();
    m_server.log->listeners = { listeners % 3 != 1, listeners % 3 != 0 };
    m_end = m_server.engine->makeEndpoint();
    m_end->cancelAnswer = input.flag() ? FakeEndpoint::Later : FakeEndpoint::AtOnce;
    m_end->acceptsAtOnce = input.flag();
    m_end->onStartRead = [this] { readStarts(); };
    m_end->onStartWrite = [this] { m_writeEnd = m_end->written().size() + m_end->writes().last(); };
    m_server.log->hook = [this](const FakeEvent &seen) { event(seen); };
    check(m_server.start(), "the fake server starts");
    if (m_isClient) {
        m_server.engine->onConnect = [this](const DialTarget &) {
            return DialResult { m_end, {}, false };
        };
        m_connection = m_server.dial();
        m_server.engine->runTasks();
    } else {
        const FakeEngine::AsWorker worker(m_server.engine.get());
        check(m_server.engine->sink()->reservePlace(), "there is a place");
        m_server.engine->sink()->accepted(m_end);
        m_connection = m_server.connection();
    }
}

void Session::run()
{
    for (int steps = 0; steps < 500 && !m_input.atEnd(); ++steps) {
        step();
        sync();
        compare();
        check(!m_finding, m_finding);
    }
    end();
    check(!m_finding, m_finding);
    check(!QTest::currentTestFailed(), "a rule of the seam is broken");
}

// --- What the input chooses ---

void Session::step()
{
    const quint32 kind = m_input.byte();
    const quint32 high = kind / 32;
    switch (kind % 32) {
    case 0:
    case 1:
    case 2:
    case 3:
        receive(high);
        break;
    case 4:
    case 5:
    case 6:
        choose(Choice::Write, m_input.byte());
        break;
    case 7:
        choose(Choice::Write, m_input.twoBytes() % 8192);
        break;
    case 8:
        choose(Choice::Broadcast, m_input.byte());
        break;
    case 9:
    case 10:
        choose(Choice::Read, 0);
        break;
    case 11:
        if (high == 7)
            choose(Choice::CloseNow, 0);
        break;
    case 12:
        if (high > 5)
            choose(Choice::CloseWhenSent, 0);
        break;
    case 13:
    case 14:
        deliver();
        break;
    case 15:
    case 16:
        m_server.deliverOnce();
        break;
    case 17:
        m_server.engine->runTasks(1);
        break;
    case 18:
    case 19: // the endpoint accepts some; the last one comes with the end of the write
        if (const qsizetype some = std::min(qsizetype(high), inHand() - 1); some > 0)
            m_end->accept(int(some));
        break;
    case 20:
    case 21:
        finishWrite(WriteProgress::Done);
        break;
    case 22:
        if (high == 7)
            finishWrite(WriteProgress::PeerGone);
        else if (high == 6)
            finishWrite(WriteProgress::Failed);
        break;
    case 23: {
        if (high < 6 || !m_end->isReading())
            break;
        m_readEnded = true;
        if (high == 7)
            closes(m_isClient ? NamedPipe::ClosedByServer : NamedPipe::ClosedByClient);
        else
            closes(NamedPipe::Failed, NamedPipe::TruncatedMessage);
        m_end->endReading(high == 7 ? ReadEnd::PeerClosed : ReadEnd::Failed,
                          { NamedPipe::TruncatedMessage, 0, "", {} });
        break;
    }
    case 24: // nobody reads, and would see it
        if (high > 5 && !m_end->isReading() && !m_end->isClosed()) {
            m_isPeerGone = m_isPeerGone || m_phase != Phase::Closing;
            m_isConnected = false;
            m_end->hangUp();
        }
        break;
    case 25:
        m_end->acceptsAtOnce = high & 1;
        break;
    case 26:
        m_continuous = high & 1;
        m_server.hub->setReadsContinuously(m_continuous);
        break;
    case 27: // longer than queued messages may take
        if (m_phase == Phase::Draining)
            closes(NamedPipe::Failed, NamedPipe::ConnectionBroken);
        m_server.engine->advance(std::chrono::seconds(6));
        break;
    case 28:
        if (m_end->isCancelled())
            m_end->answerCancel();
        break;
    default:
        m_slots.push_back(m_input.byte());
    }
}

void Session::choose(Choice choice, quint32 size)
{
    switch (choice) {
    case Choice::Write:
        write(size, false);
        break;
    case Choice::Broadcast:
        write(size, true);
        break;
    case Choice::Read:
        read();
        break;
    case Choice::CloseNow:
        close(NamedPipe::CancelPending);
        break;
    case Choice::CloseWhenSent:
        close(NamedPipe::SendPending);
        break;
    case Choice::Deliver:
        if (m_depth < 8)
            m_server.deliverOnce();
        break;
    case Choice::Throw: // on workers a slot may; on the owner's thread that is the program's bug
        if (!m_settings.freeThreaded)
            break;
        closes(NamedPipe::Failed, NamedPipe::SystemError);
        throw std::runtime_error("a slot's");
    }
}

void Session::receive(quint32 kind)
{
    if (!m_end->isReading())
        return;
    QList<QByteArray> messages;
    const auto makeMessage = [this](quint32 size) {
        QByteArray message(qsizetype(size), Qt::Uninitialized);
        for (char &byte : message) {
            ++m_bytes;
            byte = char(m_bytes * 151 + (m_bytes >> 8)); // unlike every other message
        }
        return message;
    };
    for (quint32 count = kind == 0 ? m_input.byte() % 64 : kind % 4; count > 0; --count)
        messages.append(makeMessage(m_input.byte() / (kind == 0 ? 8 : 1)));
    QList<QByteArray> wholes;
    if (kind & 4 || messages.isEmpty())
        wholes.append(makeMessage(m_input.twoBytes() % 6000));
    if (kind & 8)
        wholes.append(makeMessage(m_input.twoBytes() % 6000));
    if (m_phase == Phase::Open) {
        for (const QByteArray &message : wholes + messages) {
            m_received.push_back(message);
            ++m_statistics.messagesReceived;
            m_statistics.bytesReceived += quint64(message.size());
        }
        if (!m_settings.freeThreaded)
            m_isPaused = m_isPaused || isPast(m_readLimit);
    }
    m_end->receiveWholes(wholes, messages);
}

void Session::write(quint32 size, bool isBroadcast)
{
    sync();
    const int cookie = ++m_lastCookie;
    const QByteArray data(qsizetype(size), char('a' + cookie % 26));
    qint64 queued = 0;
    for (const Written &message : m_unsent)
        queued += message.data.size();
    const qint64 limit = m_settings.maximumPendingWriteBytes;
    const bool isFull = !m_unsent.empty()
            && (queued + size > limit
                || qint64(m_unsent.size() + 1) * qint64(sizeof(OutgoingMessage)) > limit);
    bool isTaken = false;
    auto error = NamedPipe::NoError;
    if (!m_isConnected)
        error = isBroadcast ? NamedPipe::NoError : NamedPipe::NotConnected;
    else if (size > m_server.engine->maximumWrite)
        error = NamedPipe::MessageTooLarge;
    else if (size > 0 && isFull)
        error = NamedPipe::WriteQueueFull;
    else
        isTaken = true;
    if (error != NamedPipe::NoError && !m_isClosed)
        m_errors.push_back(error);
    if (isTaken && size > 0)
        m_unsent.push_back({ data, cookie, isBroadcast });
    expect(m_connection->write(data, cookie, isBroadcast) == isTaken,
           "write() takes what it has to take, and nothing else");
}

void Session::read()
{
    const int cookie = ++m_lastCookie;
    if (!m_isClosed)
        m_requests.push_back(cookie);
    m_connection->read(cookie);
}

void Session::close(NamedPipe::CloseMode mode)
{
    sync();
    if (!m_isClosed) {
        m_isDelivering = false;
        m_received.clear();
        m_told = 0;
        // Nobody knows of it yet, or has made use of it: it never was.
        if (m_isClient && !m_hasOpened && m_sent == 0 && m_unsent.empty())
            m_opens = false;
        const auto reason = m_isClient ? NamedPipe::ClosedByClient : NamedPipe::ClosedByServer;
        if (mode == NamedPipe::CancelPending) {
            closes(reason);
        } else if (m_phase == Phase::Open) { // for as long as something is to be sent
            m_phase = Phase::Draining;
            m_reason = reason;
            m_isConnected = false;
        }
    }
    m_connection->close(mode);
    sync();
}

void Session::finishWrite(WriteProgress::Status status)
{
    if (!m_end->isWriting())
        return;
    if (status != WriteProgress::Done)
        m_writesNoMore = true;
    if (status == WriteProgress::Failed) {
        closes(NamedPipe::Failed, NamedPipe::ResourceExhausted);
    } else if (status == WriteProgress::PeerGone) {
        m_isPeerGone = m_isPeerGone || m_phase != Phase::Closing; // else that is not why it ends
        m_isConnected = false;
        sync();
    }
    m_end->finishWrite(status, { NamedPipe::ResourceExhausted, 0, "", {} });
}

void Session::deliver()
{
    m_server.deliver();
    sync();
    compareAtRest();
}

void Session::end()
{
    if (m_end->isCancelled())
        m_end->answerCancel();
    m_end->cancelAnswer = FakeEndpoint::AtOnce;
    deliver();
    compare();
    const auto reason = m_isClient ? NamedPipe::ClosedByClient : NamedPipe::ServerStopped;
    if (m_settings.freeThreaded) { // stop() would wait for workers, and there are none
        closes(reason);
        m_connection->stop(NamedPipe::CancelPending, {});
        deliver();
        compare();
        return;
    }
    m_isStopping = true;
    closes(reason);
    m_server.stop();
    sync();
    compare();
    expect(m_isClosed, "stop() tells the end of every connection");
}

// --- What the connection does ---

void Session::event(const FakeEvent &event)
{
    if (event.id == 0)
        return;
    sync();
    switch (event.kind) {
    case FakeEvent::Opened:
        expect(m_opens && !m_hasOpened, "opened() comes for what was made");
        m_hasOpened = true;
        break;
    case FakeEvent::Message:
    case FakeEvent::InBatch:
        messageCame(event);
        break;
    case FakeEvent::Sent:
        expect(!m_sentUntold.empty() && event.cookie == m_sentUntold.front(),
               "messageSent() comes for each accepted message, in order");
        if (!m_sentUntold.empty())
            m_sentUntold.pop_front();
        break;
    case FakeEvent::NotSent:
        ending();
        expect(m_isClient && !m_unsent.empty() && event.cookie == m_unsent.front().cookie,
               "messageNotSent() comes for each message that is left, in order");
        if (!m_unsent.empty())
            m_unsent.pop_front();
        break;
    case FakeEvent::Error:
        if (!m_errors.empty() && event.error == m_errors.front()) {
            m_errors.pop_front();
        } else { // refusals in slots of the last events are told among them, or not at all
            expect(m_errors.empty() || m_hasEnded || m_phase == Phase::Closing,
                   "refusals are told in order");
            ending();
            expect(event.error == m_closeError && m_closeError != NamedPipe::NoError,
                   "the reason for the end is told, and only that");
            m_closeError = NamedPipe::NoError;
        }
        break;
    case FakeEvent::Closed:
        ending();
        expect(m_closeError == NamedPipe::NoError, "the reason for the end is told");
        expect(!m_isClient || m_unsent.empty(), "every message has an answer");
        m_isClosed = true;
        m_errors.clear(); // what slots of the very last events have asked for
        break;
    case FakeEvent::Ready:
    case FakeEvent::ServerError:
        break;
    }
    if (event.kind == FakeEvent::InBatch || m_slots.empty())
        return; // a batch is one call of a slot, and told message by message here
    const quint32 slot = m_slots.front();
    m_slots.pop_front();
    const auto leave = qScopeGuard([this, depth = m_depth] { m_depth = depth; });
    ++m_depth;
    choose(Choice(slot % 7), slot * 3);
}

void Session::messageCame(const FakeEvent &event)
{
    const bool isFirst = event.kind == FakeEvent::Message;
    const size_t at = isFirst ? 0 : m_told;
    expect(m_isDelivering, "who has closed gets no more messages");
    expect(at < m_received.size() && event.data == m_received[at],
           "messages come whole and in order");
    const auto &listeners = m_server.log->listeners;
    if (!isFirst) {
        expect(listeners.toBatches && !event.cookie.isValid(), "batches have no cookies");
        if (listeners.toMessages) {
            ++m_told;
            return;
        }
    } else if (m_requests.empty()) {
        expect(!event.cookie.isValid() && m_continuous, "what nobody asked for comes by itself");
    } else {
        expect(event.cookie == m_requests.front(), "requests are answered in order");
        m_requests.pop_front();
    }
    if (!m_received.empty())
        m_received.pop_front();
    m_told -= isFirst && m_told > 0 ? 1 : 0;
}

/// The first of the last events: everything else is told.
void Session::ending()
{
    if (std::exchange(m_hasEnded, true))
        return;
    expect(m_phase == Phase::Closing, "the end comes after the reason for it");
    expect(m_hasOpened == m_opens, "what was made is told before it ends");
    expect(m_sentUntold.empty(), "what was sent is told before the end");
    expect(m_received.empty() || (m_isStopping && !m_continuous && m_requests.empty()),
           "what has arrived comes before the end");
    const bool isLost = std::any_of(m_unsent.begin(), m_unsent.end(),
                                    [](const Written &message) { return !message.isBroadcast; });
    if (m_isPeerGone && isLost && m_closeError == NamedPipe::NoError)
        m_closeError = NamedPipe::ConnectionBroken;
}

void Session::readStarts()
{
    expect(m_end->roughly() <= m_readLimit, "no more is read than may be kept");
    if (m_phase != Phase::Open)
        return;
    expect(m_received.empty() || !isPast(m_isPaused ? m_readLimit / 2 : m_readLimit),
           "nothing is read past the limit");
    expect(m_isPeerGone || m_continuous || m_requests.size() > m_received.size(),
           "nothing is read that nobody wants");
    m_isPaused = false;
}

// --- The model ---

void Session::expect(bool holds, const char *rule)
{
    if (!holds && !m_finding)
        m_finding = rule;
}

/// What the endpoint has accepted meanwhile.
void Session::sync()
{
    const QList<QByteArray> written = m_end->written();
    for (; m_sent < written.size(); ++m_sent) {
        const QByteArray &data = written[m_sent];
        expect(!m_unsent.empty() && m_unsent.front().data == data,
               "messages are sent whole and in order");
        if (m_unsent.empty())
            return;
        if (m_server.listensToSent)
            m_sentUntold.push_back(m_unsent.front().cookie);
        m_unsent.pop_front();
        ++m_statistics.messagesSent;
        m_statistics.bytesSent += quint64(data.size());
    }
    if (m_phase == Phase::Draining && (m_unsent.empty() || m_writesNoMore))
        closes(m_reason);
}

/// The first reason is kept.
void Session::closes(NamedPipe::CloseReason reason, NamedPipe::Error error)
{
    if (m_phase == Phase::Closing)
        return;
    m_phase = Phase::Closing;
    m_isConnected = false;
    m_closeError = error;
    if (m_reason == NamedPipe::StillOpen)
        m_reason = reason;
    if (reason == (m_isClient ? NamedPipe::ClosedByServer : NamedPipe::ClosedByClient))
        m_isPeerGone = true;
}

bool Session::isPast(qint64 limit) const
{
    qint64 bytes = 0;
    for (const QByteArray &message : m_received)
        bytes += message.size();
    return bytes + qint64(m_received.size() * 4 * sizeof(MessageSpan)) >= limit;
}

bool Session::mayDeliver() const
{
    return m_continuous || !m_requests.empty();
}

/// How many messages the endpoint has and has not accepted.
qsizetype Session::inHand() const
{
    return m_end->isWriting() ? m_writeEnd - m_sent : 0;
}

qint64 Session::bytesToWrite() const
{
    const bool isDropped = m_phase == Phase::Closing || m_writesNoMore;
    qint64 bytes = 0;
    for (qsizetype i = 0; i < qsizetype(m_unsent.size()); ++i)
        bytes += !isDropped || i < inHand() ? m_unsent[size_t(i)].data.size() : 0;
    return bytes;
}

/// What can be asked for at any time.
void Session::compare()
{
    expect(m_connection->isConnected() == m_isConnected, "isConnected()");
    expect(m_connection->closeReason() == m_reason, "closeReason()");
    expect(m_connection->bytesToWrite() == bytesToWrite(), "bytesToWrite()");
    const auto same = [this](const NamedPipe::Statistics &s) {
        return s.messagesReceived == m_statistics.messagesReceived
                && s.bytesReceived == m_statistics.bytesReceived
                && s.messagesSent == m_statistics.messagesSent
                && s.bytesSent == m_statistics.bytesSent;
    };
    expect(same(m_connection->statistics()), "statistics()");
    if (!m_server.hub)
        return;
    const NamedPipe::ServerStatistics all = m_server.hub->statistics();
    expect(same(all), "statistics() of all connections");
    expect(all.connectionsAccepted == 1 && all.connectionsClosed == (m_isClosed ? 1 : 0),
           "connections are counted");
    expect(m_server.hub->connectionCount() == (m_isConnected ? 1 : 0), "connectionCount()");
}

/// Everything that can be done is done: nothing may be forgotten.
void Session::compareAtRest()
{
    expect(m_hasOpened == m_opens, "opened() comes");
    expect(m_received.empty() || !mayDeliver(), "messages come");
    expect(m_sentUntold.empty(), "messageSent() comes");
    expect(m_errors.empty(), "errors come");
    const bool isOver = m_phase == Phase::Closing;
    expect(isOver || m_unsent.empty() || m_writesNoMore || m_end->isWriting(), "messages are sent");
    expect(!isOver || m_end->isCancelled(), "what closes is cancelled");
    const bool isReleased = isOver && !m_end->isReading() && !m_end->isWriting();
    expect(m_end->isClosed() == isReleased, "the handle is released when nothing is in flight");
    expect(m_isClosed == (isReleased && m_received.empty()), "closed() comes");
    if (isOver || m_readEnded)
        return;
    // On workers it depends on the slots when the limit is looked at.
    const bool isHalf = m_isPaused || m_settings.freeThreaded;
    const bool isRoom = m_received.empty() || !isPast(isHalf ? m_readLimit / 2 : m_readLimit);
    const bool isWanted = m_isPeerGone || m_continuous || m_requests.size() > m_received.size();
    expect(m_end->isReading() || (m_phase == Phase::Open && !(isRoom && isWanted)),
           "what may be read is read");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // libFuzzer has a main() of its own.
    static int count = 1;
    static char name[] = "fuzz";
    static char *arguments[] = { name, nullptr };
    static const auto *const application = QCoreApplication::instance()
            ? QCoreApplication::instance()
            : new QCoreApplication(count, arguments);
    Q_UNUSED(application);
    QLoggingCategory::setFilterRules(QStringLiteral("qtnamedpipes.*=false"));

    Input input(data, size);
    HubSettings settings;
    const quint32 kind = input.byte();
    settings.side = kind & 1 ? Side::Client : Side::Server;
    settings.freeThreaded = kind & 2;
    settings.maximumPendingReadBytes = input.oneOf<qint64>({ 1 << 20, 1, 100, 1000, 10'000 });
    settings.maximumPendingWriteBytes = input.oneOf<qint64>({ 1 << 26, 1, 100, 1000, 10'000 });
    Session(input, settings, !(kind & 4)).run();
    return 0;
}
