// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The practical limit for a library that emits one Qt signal for each message: the raw loop, and
// nothing beyond it but that signal, with the arguments of this library's and one slot connected.

#include "common/process.h"
#include "servers/rawloop.h"

#include <QtCore/qbytearray.h>
#include <QtCore/qobject.h>
#include <QtCore/qsharedpointer.h>
#include <QtCore/qvariant.h>

#include <cstring>

namespace {

class Emitter : public QObject
{
    Q_OBJECT

Q_SIGNALS:
    void messageReceived(const QSharedPointer<QObject> &connection, const QVariant &cookie,
                         const QByteArray &message);
};

/// Handles a message in the slot of a signal.
class SignallingService : public bench::Service
{
public:
    explicit SignallingService(const bench::ServerOptions &options) : bench::Service(options)
    {
        QObject::connect(
                &m_emitter, &Emitter::messageReceived, &m_emitter,
                [this](const QSharedPointer<QObject> &, const QVariant &,
                       const QByteArray &message) {
                    m_answer = bench::Service::handle(*m_client, message.constData(),
                                                      std::size_t(message.size()));
                },
                Qt::DirectConnection);
    }

    Answer handle(bench::ClientState &client, const char *data, std::size_t size)
    {
        m_client = &client;
        m_message.resize(qsizetype(size)); // its memory is used again: no slot keeps it
        std::memcpy(m_message.data(), data, size);
        Q_EMIT m_emitter.messageReceived(m_connection, m_cookie, m_message);
        return m_answer;
    }

private:
    Emitter m_emitter;
    const QSharedPointer<QObject> m_connection { new QObject };
    const QVariant m_cookie;
    QByteArray m_message;
    bench::ClientState *m_client = nullptr;
    Answer m_answer = Answer::None;
};

} // namespace

int main(int argc, char **argv)
{
    const auto options = bench::ServerOptions::parse(argc, argv);
    bench::raiseDescriptorLimit();
    bench::RawLoop<SignallingService> server(options);
    bench::sayReady();
    server.run();
}

#include "raw_signal.moc"
