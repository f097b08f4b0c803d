// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// IocpReader and IncomingMessage: the messages of a message-mode pipe out of the fragments in which
// it gives them, with all the answers that the system may give in between.

#include "fuzzing.h"
#include "iocp/iocpendpoint.h"
#include "iocp/iocpreader.h"

#include <algorithm>
#include <utility>

using namespace QtNamedPipes;
using Fuzzing::check;
using Fuzzing::Input;

namespace {

class Session final : public EndpointSink
{
public:
    Session(Input &input, qsizetype blockSize, qint64 maximum)
        : m_input(input),
          m_maximum(maximum),
          m_pipe(*this, blockSize, maximum),
          m_reader(m_pipe),
          m_direction(m_reader)
    {
    }

    void run()
    {
        while (!m_input.atEnd())
            step();
        // Everything that is there comes, when it is asked for.
        m_mayFail = false;
        for (int i = 0; i < 100'000 && !m_hasEnded && !m_pipe.cancelled; ++i) {
            if (m_isWanted)
                answer();
            else if (m_sent.empty())
                break;
            else
                want();
        }
        if (m_hasEnded || m_pipe.cancelled)
            return;
        check(m_sent.empty(), "all messages come");
        m_pipe.peerGone = true;
        want();
        for (int i = 0; i < 10 && m_isWanted; ++i)
            answer();
        check(m_hasEnded, "the end is found");
    }

    // EndpointSink
    void received(MessageBatch &batch) override
    {
        check(std::exchange(m_isWanted, false), "one answer to one question");
        check(batch.count() == 1, "one message");
        check(!m_sent.empty(), "no message out of nowhere");
        const QByteArray message = !batch.wholes.empty()
                ? batch.wholes.front()
                : batch.block.mid(batch.spans.front().offset, batch.spans.front().size);
        check(message == m_sent.front(), "the messages, whole and in order");
        check(m_maximum == 0 || message.size() <= m_maximum, "the maximum is kept");
        m_sent.pop_front();
    }
    void readEnded(ReadEnd end, const TransportError &error) override
    {
        check(std::exchange(m_isWanted, false), "an end answers a question, too");
        check(!std::exchange(m_hasEnded, true), "one end");
        if (end == ReadEnd::Cancelled) {
            check(m_pipe.cancelled, "nobody else cancels");
        } else if (end == ReadEnd::PeerClosed) {
            check(m_pipe.peerGone && m_sent.empty(), "the end comes after the messages");
        } else if (error.error == NamedPipe::MessageTooLarge) {
            check(m_maximum > 0 && !m_sent.empty() && m_sent.front().size() > m_maximum,
                  "only what is too large is too large");
        } else if (error.error == NamedPipe::TruncatedMessage) {
            check(m_wasTorn, "a message is truncated when its end does not come");
        } else {
            check(error.error == NamedPipe::ResourceExhausted
                          || error.error == NamedPipe::SystemError,
                  "another end has another reason");
            check(m_hasFailed, "no error out of nowhere");
        }
    }
    void writeProgressed(const WriteProgress &) override { }
    void hangUpSeen() override
    {
        check(!m_isWanted && m_pipe.peerGone, "a hang-up is seen when there is one");
    }

private:
    void step()
    {
        const quint32 kind = m_input.byte();
        switch (kind % 16) {
        case 0:
        case 1:
            send(kind / 16);
            break;
        case 2:
            send(m_input.twoBytes());
            break;
        case 3:
            if (!m_isWanted && !m_pipe.place)
                m_reader.watch();
            break;
        case 4:
            m_pipe.tellsWhatIsLeft = kind & 16;
            m_pipe.answersAtOnce = kind & 32;
            break;
        case 5:
            if (kind >= 240)
                m_pipe.peerGone = true;
            break;
        case 6: // the writer dies, and the rest of its message with it
            if (kind >= 128 && m_pipe.firstRead > 0) {
                m_pipe.messages.clear();
                m_pipe.firstRead = 0;
                m_pipe.peerGone = true;
                m_wasTorn = true;
            }
            break;
        case 7:
            if (kind >= 240)
                cancel();
            break;
        case 8:
        case 9:
        case 10:
            want();
            break;
        default:
            answer(kind / 16);
        }
        check(!m_isWanted || m_pipe.place || m_pipe.packet || m_pipe.isWaiting,
              "who waits is waited for");
        check(!m_pipe.isTooLarge, "memory grows with what has arrived");
    }

    void send(quint32 size)
    {
        if (m_pipe.peerGone || m_bytes > 1'000'000)
            return;
        QByteArray message(qsizetype(size), Qt::Uninitialized);
        for (char &byte : message) {
            ++m_bytes;
            byte = char(m_bytes * 151 + (m_bytes >> 8)); // unlike every other message
        }
        m_sent.push_back(message);
        m_pipe.messages.push_back(message);
    }

    void want()
    {
        if (m_isWanted || m_hasEnded || m_pipe.cancelled)
            return;
        m_isWanted = true;
        m_reader.start();
    }

    /// As IocpEndpoint::cancel().
    void cancel()
    {
        m_pipe.cancelled = true;
        if (std::exchange(m_pipe.isWaiting, false))
            m_pipe.packet = ERROR_OPERATION_ABORTED;
        while (m_isWanted && (m_pipe.place || m_pipe.packet))
            answer();
        check(!m_isWanted, "cancelling ends what waits");
    }

    /// The system's next answer, if there is one; \a fault may spoil it.
    void answer(quint32 fault = 0)
    {
        if (const auto later = std::exchange(m_pipe.later, nullptr))
            later->run();
        if (m_pipe.packet) {
            m_direction.completed(*std::exchange(m_pipe.packet, std::nullopt),
                                  std::exchange(m_pipe.packetBytes, 0));
            return;
        }
        if (std::exchange(m_pipe.isWaiting, false)) {
            m_direction.tryAgain();
            return;
        }
        if (!m_pipe.place)
            return;
        if (m_mayFail && !m_pipe.cancelled && fault == 15) {
            m_hasFailed = true;
            m_pipe.submitError = ERROR_NO_SYSTEM_RESOURCES; // of the read after this one
        }
        DWORD bytes = 0;
        DWORD error = m_mayFail ? spoilt(fault) : IocpEndpoint::NoAnswer;
        if (m_pipe.cancelled)
            error = ERROR_OPERATION_ABORTED;
        else if (error == IocpEndpoint::NoAnswer)
            error = m_pipe.takeBytes(&bytes);
        if (error != IocpEndpoint::NoAnswer) {
            m_pipe.place = nullptr;
            m_direction.completed(error, bytes);
        }
    }

    DWORD spoilt(quint32 fault)
    {
        static constexpr DWORD errors[] = { ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
                                            ERROR_OPERATION_ABORTED };
        if (fault < 12 || fault >= 15)
            return IocpEndpoint::NoAnswer;
        m_hasFailed = true;
        return errors[fault - 12];
    }

    Input &m_input;
    const qint64 m_maximum;
    IocpEndpoint m_pipe;
    IocpReader m_reader;
    IocpDirection &m_direction;
    std::deque<QByteArray> m_sent; ///< and not yet received
    quint32 m_bytes = 0;
    bool m_isWanted = false;
    bool m_hasEnded = false;
    bool m_mayFail = true;
    bool m_hasFailed = false;
    bool m_wasTorn = false;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const qsizetype blockSize = input.oneOf<qsizetype>({ 16, 256, 4096, 16'384 });
    const qint64 maximum = input.oneOf<qint64>({ 0, 1, 16, 300, 20'000 });
    Session(input, blockSize, maximum).run();
    return 0;
}
