// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_PIPEDIALER_H
#define QTNAMEDPIPES_PIPEDIALER_H

#include "core/backoff.h"
#include "core/pipetransport.h"

#include <chrono>
#include <memory>

namespace QtNamedPipes {

class PipeConnection;

struct DialSettings
{
    DialTarget target;
    std::chrono::milliseconds timeout { 5000 }; ///< negative: none
    bool waitForServer = false;
    bool isPersistent = false; ///< never gives up: a failure is told, and tried again after a delay
    /// Between the failures of a persistent dialer, and from one connection to the next.
    std::shared_ptr<BackOff> delays;
    std::chrono::milliseconds firstDelay { 0 };
};

/// Makes the connection of a PipeConnection that is Opening. Everything happens on workers, one
/// step at a time, and no step waits: a server that is busy, or that is waited for, is tried again
/// after a few milliseconds. A connection that is not Opening any more is left alone.
class PipeDialer final : public EngineTask, public std::enable_shared_from_this<PipeDialer>
{
public:
    static void start(PipeEngine &engine, std::weak_ptr<PipeConnection> connection,
                      const DialSettings &settings);

    void run() override;

private:
    PipeDialer(std::weak_ptr<PipeConnection> connection, const DialSettings &settings);
    bool mayTryAgain(const DialResult &result) const;
    void later(PipeEngine &engine, std::chrono::milliseconds delay);

    const std::weak_ptr<PipeConnection> m_connection;
    DialSettings m_settings;
    BackOff m_pauses; ///< between the tries for a server that is busy or waited for
    bool m_isTrying = false; ///< since m_begin
    Clock::time_point m_begin;
    quint32 m_told = 0; ///< a bit for each kind of error
};

} // namespace QtNamedPipes

#endif // QTNAMEDPIPES_PIPEDIALER_H
