// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_PROGRAM_H
#define QTNAMEDPIPES_TESTS_PROGRAM_H

#include "waiting.h"

#include <QtCore/qdebug.h>
#include <QtCore/qprocess.h>

#ifdef Q_OS_WIN
#    include <windows.h>
#else
#    include <csignal>
#endif

/// A program that a reader of the documentation starts: an example, a snippet. It ends with this
/// object, however the test goes.
class Program
{
public:
    explicit Program(const QString &name, const QStringList &arguments = {})
    {
        QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
        // On Windows, without a console.
        environment.insert(QStringLiteral("QT_FORCE_STDERR_LOGGING"), QStringLiteral("1"));
        m_process.setProcessEnvironment(environment);
        m_process.setProcessChannelMode(QProcess::MergedChannels);
#ifdef Q_OS_WIN
        // On a console of its own: see interrupt().
        m_process.setCreateProcessArgumentsModifier([](QProcess::CreateProcessArguments *made) {
            made->flags &= ~ulong(CREATE_NO_WINDOW);
            made->flags |= CREATE_NEW_CONSOLE;
        });
#endif
        m_process.start(QStringLiteral(TESTS_BINARY_DIR "/") + name, arguments);
    }
    ~Program()
    {
        if (m_process.state() != QProcess::NotRunning)
            kill();
    }
    Program(const Program &) = delete;
    Program &operator=(const Program &) = delete;

    /// Everything that it said so far.
    QByteArray output()
    {
        m_output += m_process.readAll().replace("\r\n", "\n");
        return m_output;
    }
    bool waitForOutput(const QByteArray &text)
    {
        return waitUntil([&] { return output().contains(text); });
    }
    bool endsWith(int exitCode)
    {
        const bool ended =
                waitUntil([&] { return m_process.state() == QProcess::NotRunning; }, 2 * patience);
        if (ended && m_process.exitStatus() == QProcess::NormalExit
            && m_process.exitCode() == exitCode)
            return true;
        qWarning("%s, exit code %d, not %d:\n%s", qPrintable(m_process.program()),
                 m_process.exitCode(), exitCode, output().constData());
        return false;
    }
    bool kill()
    {
        m_process.kill();
        return m_process.waitForFinished(int(patience.count()));
    }
#ifdef Q_OS_WIN
    /// Presses Ctrl+C on its console. This program leaves its own one for that.
    bool interrupt(int event = CTRL_C_EVENT)
    {
        FreeConsole();
        const auto ignore = [](DWORD) -> BOOL { return TRUE; }; // it comes to both
        const bool pressed = AttachConsole(DWORD(m_process.processId()))
                && SetConsoleCtrlHandler(ignore, TRUE) && GenerateConsoleCtrlEvent(DWORD(event), 0);
        FreeConsole();
        return pressed;
    }
#else
    bool interrupt(int signal = SIGTERM)
    {
        return ::kill(pid_t(m_process.processId()), signal) == 0;
    }
#endif

private:
    QProcess m_process;
    QByteArray m_output;
};

#endif // QTNAMEDPIPES_TESTS_PROGRAM_H
