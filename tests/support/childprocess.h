// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_CHILDPROCESS_H
#define QTNAMEDPIPES_TESTS_CHILDPROCESS_H

#include "waiting.h"

#include <QtCore/qprocess.h>

/// A peerprocess. It ends with this object, however the test goes.
class ChildProcess
{
public:
    explicit ChildProcess(const QStringList &arguments)
    {
        m_process.setProcessChannelMode(QProcess::ForwardedErrorChannel);
        m_process.start(QStringLiteral(TESTS_BINARY_DIR "/peerprocess"), arguments);
    }
    ~ChildProcess()
    {
        if (m_process.state() != QProcess::NotRunning)
            kill();
    }
    ChildProcess(const ChildProcess &) = delete;
    ChildProcess &operator=(const ChildProcess &) = delete;

    /// Everything that it said so far.
    QByteArray output()
    {
        m_output += m_process.readAllStandardOutput();
        return m_output;
    }
    bool waitForOutput(const QByteArray &text, std::chrono::milliseconds timeout = patience)
    {
        return waitUntil([&] { return output().contains(text); }, timeout);
    }
    bool waitForEnd(std::chrono::milliseconds timeout = patience)
    {
        return waitUntil([&] { return m_process.state() == QProcess::NotRunning; }, timeout);
    }
    /// Ends it as it is: kill -9 or TerminateProcess.
    bool kill()
    {
        m_process.kill();
        return m_process.waitForFinished(int(patience.count()));
    }
    /// Asks it to go.
    void closeInput() { m_process.closeWriteChannel(); }

    bool hasExitCode(int code) const
    {
        return m_process.exitStatus() == QProcess::NormalExit && m_process.exitCode() == code;
    }
    qint64 processId() const { return m_process.processId(); }

private:
    QProcess m_process;
    QByteArray m_output;
};

#endif // QTNAMEDPIPES_TESTS_CHILDPROCESS_H
