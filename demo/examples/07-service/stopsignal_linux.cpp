// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "stopsignal.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qsocketnotifier.h>

#include <csignal>
#include <sys/signalfd.h>
#include <unistd.h>

StopSignal::StopSignal()
{
    // The signals are not handled but read, like anything else that an event loop waits for: a
    // signal handler could do next to nothing.
    sigset_t stopSignals;
    sigemptyset(&stopSignals);
    sigaddset(&stopSignals, SIGINT);
    sigaddset(&stopSignals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stopSignals, nullptr); // inherited by every thread made later
    m_descriptor = ::signalfd(-1, &stopSignals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (m_descriptor < 0)
        qFatal("signalfd() failed");
    auto *notifier = new QSocketNotifier(m_descriptor, QSocketNotifier::Read, &m_context);
    QObject::connect(notifier, &QSocketNotifier::activated, &m_context, [this] {
        signalfd_siginfo signal = {};
        if (::read(m_descriptor, &signal, sizeof signal) == sizeof signal)
            QCoreApplication::quit();
    });
}

StopSignal::~StopSignal()
{
    ::close(m_descriptor);
}
