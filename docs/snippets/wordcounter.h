// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_SNIPPETS_WORDCOUNTER_H
#define QTNAMEDPIPES_SNIPPETS_WORDCOUNTER_H

#include <QtNamedPipes/NamedPipeServer>

#include <QtCore/qhash.h>

#include <mutex>

//! [word counter]
class WordCounter
{
public:
    explicit WordCounter(const QString &pipeName) : m_server(pipeName)
    {
        m_server.setFreeThreadingEvents(true);
        m_server.setNumThreadsIOCP(4);
        QObject::connect(&m_server, &NamedPipeServer::clientMessageReceived,
                         [this](const NamedPipeServerConnectionPtr &client, const QVariant &,
                                const QByteArray &word) {
                             client->asyncWrite(QByteArray::number(count(word)));
                         });
    }

    bool start() { return m_server.start(); }

private:
    /// On any worker: clients are served in parallel.
    int count(const QByteArray &word)
    {
        const std::lock_guard<std::mutex> lock(m_mutex);
        return ++m_counts[word];
    }

    std::mutex m_mutex;
    QHash<QByteArray, int> m_counts;
    NamedPipeServer m_server; // last: it is destroyed first, and waits for its slots
};
//! [word counter]

#endif // QTNAMEDPIPES_SNIPPETS_WORDCOUNTER_H
