// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// QLocalServer, on the event loop of the main thread, in three ways:
// --variant datastream: transactions of QDataStream, as Qt's documentation and examples have it;
// --variant framed: lengths are read and written by hand, and each message is a QByteArray of its
//     own, which the application may keep: what a signal of this library hands over, too;
// --variant in-place: the application looks at the messages where they were read, and keeps none.
// The answers to all messages of a readyRead() are sent together, and at once: flush() does not
// wait for the event loop.

#include "common/process.h"
#include "common/service.h"
#include "servers/ticker.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qdatastream.h>
#include <QtCore/qendian.h>
#include <QtCore/qscopedvaluerollback.h>
#include <QtCore/qset.h>
#include <QtNetwork/qlocalserver.h>
#include <QtNetwork/qlocalsocket.h>

#include <cstdio>
#include <cstring>
#include <memory>

namespace {

constexpr qsizetype LengthSize = sizeof(quint32);
/// While more than this waits for a client, nothing is read from it. Only broadcasts go beyond it;
/// the load generator has a few on their way.
constexpr qint64 MaximumUnsent = 1024 * 1024;
/// So much is kept of a client from which nothing is read. Qt's default is to keep all it sends.
constexpr qint64 ReadBufferSize = 1024 * 1024;

class Client;

struct Server
{
    explicit Server(const bench::ServerOptions &options)
        : service(options),
          isFramed(options.variant != "datastream"),
          isInPlace(options.variant == "in-place")
    {
    }

    bench::Service service;
    const bool isFramed;
    const bool isInPlace;
    QSet<Client *> clients;
    QByteArray answers; ///< of frames: to the messages that are being handled, with their lengths
};

qsizetype lengthAt(const char *data)
{
    const quint32 length = qFromBigEndian<quint32>(data);
    return length == 0xffffffff ? 0 : qsizetype(length);
}

void append(QByteArray &to, const char *data, std::size_t size)
{
    const quint32 length = qToBigEndian(quint32(size));
    to.append(reinterpret_cast<const char *>(&length), LengthSize);
    to.append(data, qsizetype(size));
}

/// Belongs to its socket.
class Client : public QObject
{
public:
    Client(Server &server, QLocalSocket *socket)
        : QObject(socket),
          m_server(server),
          m_socket(socket),
          m_stream(socket)
    {
        m_server.service.added(m_state);
        m_server.clients.insert(this);
        socket->setReadBufferSize(ReadBufferSize);
        connect(socket, &QLocalSocket::readyRead, this, &Client::read);
        connect(socket, &QLocalSocket::bytesWritten, this, &Client::read); // if too much was unsent
        connect(socket, &QLocalSocket::disconnected, this, [this] {
            m_server.clients.remove(this);
            m_socket->deleteLater();
        });
    }
    ~Client() override { m_server.service.removed(m_state); }

    void read()
    {
        if (m_isReading)
            return; // called by flush(): the loop goes on
        const QScopedValueRollback guard(m_isReading, true);
        while (m_socket->state() == QLocalSocket::ConnectedState
               && m_socket->bytesToWrite() <= MaximumUnsent && readSome()) {
            m_socket->flush();
        }
    }

private:
    bool readSome()
    {
        return m_server.isInPlace ? readInPlace() : m_server.isFramed ? readFrames() : readStream();
    }

    bool readFrames()
    {
        bool hasRead = false;
        for (;;) {
            if (m_length < 0) {
                char length[LengthSize];
                if (m_socket->bytesAvailable() < LengthSize)
                    break;
                m_socket->read(length, LengthSize);
                m_length = lengthAt(length);
                if (m_length > m_socket->readBufferSize())
                    m_socket->setReadBufferSize(m_length); // or it would never be there
            }
            if (m_socket->bytesAvailable() < m_length)
                break;
            const QByteArray message = m_socket->read(m_length);
            m_length = -1;
            handle(message.constData(), message.size());
            hasRead = true;
        }
        writeAnswers();
        return hasRead;
    }

    bool readInPlace()
    {
        const qint64 available = m_socket->bytesAvailable();
        if (available <= 0)
            return false;
        const qsizetype begun = m_input.size();
        m_input.resize(begun + qsizetype(available));
        const qint64 arrived = m_socket->read(m_input.data() + begun, available);
        m_input.resize(begun + qsizetype(qMax(qint64(0), arrived)));

        const char *at = m_input.constData();
        const char *const end = at + m_input.size();
        while (end - at >= LengthSize && end - at - LengthSize >= lengthAt(at)) {
            const qsizetype length = lengthAt(at);
            handle(at + LengthSize, length);
            at += LengthSize + length;
        }
        // Not remove(0, n): that makes QByteArray take new memory when it grows again.
        const qsizetype rest = end - at;
        std::memmove(m_input.data(), at, std::size_t(rest));
        m_input.resize(rest);
        writeAnswers();
        return arrived > 0;
    }

    bool readStream()
    {
        while (m_socket->bytesToWrite() <= MaximumUnsent) {
            QByteArray message;
            m_stream.startTransaction();
            m_stream >> message;
            if (!m_stream.commitTransaction()) {
                m_socket->flush();
                return false;
            }
            handle(message.constData(), message.size());
        }
        return true;
    }

    void handle(const char *data, qsizetype size)
    {
        switch (m_server.service.handle(m_state, data, std::size_t(size))) {
        case bench::Service::Answer::None:
            break;
        case bench::Service::Answer::SameBack:
            answer(data, std::size_t(size));
            break;
        case bench::Service::Answer::Report: {
            const std::string report = m_server.service.report();
            answer(report.data(), report.size());
            break;
        }
        case bench::Service::Answer::Broadcast: {
            writeAnswers(); // they come first
            QByteArray all;
            m_server.service.broadcast(data, [&all](const char *message, std::size_t messageSize) {
                append(all, message, messageSize);
            });
            const auto clients = m_server.clients; // flush() can find that one has gone
            for (Client *each : clients) {
                each->m_socket->write(all);
                each->m_socket->flush();
            }
            break;
        }
        }
    }

    void answer(const char *data, std::size_t size)
    {
        if (m_server.isFramed)
            append(m_server.answers, data, size);
        else
            m_stream.writeBytes(data, uint(size)); // as << of a QByteArray
    }

    void writeAnswers()
    {
        if (m_server.answers.isEmpty())
            return;
        m_socket->write(m_server.answers);
        m_server.answers.resize(0); // keeps the memory
    }

    Server &m_server;
    QLocalSocket *const m_socket;
    bench::ClientState m_state;
    QDataStream m_stream;
    qsizetype m_length = -1; ///< of the message that is expected; -1: not read yet
    QByteArray m_input; ///< of frames: what is not handled yet
    bool m_isReading = false;
};

} // namespace

int main(int argc, char **argv)
{
    const bench::ServerOptions options = bench::ServerOptions::parse(argc, argv);
    bench::raiseDescriptorLimit();
    QCoreApplication app(argc, argv);
    if (options.variant != "framed" && options.variant != "in-place"
        && options.variant != "datastream") {
        std::fprintf(stderr, "what is --variant %s?\n", options.variant.c_str());
        return 2;
    }

    Server server(options);
    QLocalServer listener;
    QObject::connect(&listener, &QLocalServer::newConnection, &listener, [&] {
        while (QLocalSocket *socket = listener.nextPendingConnection())
            (new Client(server, socket))->read(); // what came before readyRead() was connected
    });
    const QString name = QString::fromStdString(options.name);
    QLocalServer::removeServer(name);
#ifndef Q_OS_WIN // where it is the number of pipe instances
    listener.setListenBacklogSize(4096); // as the other servers have it
#endif
    if (!listener.listen(name)) {
        std::fprintf(stderr, "%s\n", qPrintable(listener.errorString()));
        return 1;
    }

    std::unique_ptr<bench::Ticker> ticker;
    if (options.ticks) {
        ticker = std::make_unique<bench::Ticker>();
        server.service.onReport([&ticker] { return ticker->report(); });
    }
    bench::sayReady();
    return app.exec();
}
