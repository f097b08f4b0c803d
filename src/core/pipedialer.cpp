// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/pipedialer.h"

#include "core/connectionhub.h"
#include "core/logging.h"
#include "core/pipeconnection.h"
#include "core/text.h"

#include <algorithm>
#include <utility>

namespace QtNamedPipes {

using namespace std::chrono_literals;

static constexpr auto ShortestPause = 2ms;
static constexpr auto LongestPause = 50ms;

void PipeDialer::start(PipeEngine &engine, std::weak_ptr<PipeConnection> connection,
                       const DialSettings &settings)
{
    const std::shared_ptr<PipeDialer> dialer(new PipeDialer(std::move(connection), settings));
    dialer->later(engine, settings.firstDelay);
}

PipeDialer::PipeDialer(std::weak_ptr<PipeConnection> connection, const DialSettings &settings)
    : m_connection(std::move(connection)),
      m_settings(settings),
      m_pauses(ShortestPause, LongestPause)
{
}

void PipeDialer::later(PipeEngine &engine, std::chrono::milliseconds delay)
{
    if (delay <= 0ms)
        engine.post(shared_from_this());
    else
        engine.postAt(Clock::now() + delay, shared_from_this());
}

/// Worker.
void PipeDialer::run()
{
    const auto connection = m_connection.lock();
    if (!connection || !connection->isDialing())
        return;
    PipeEngine &engine = connection->hub().engine();
    if (!std::exchange(m_isTrying, true)) {
        m_begin = Clock::now();
        m_pauses.reset();
    }
    DialResult result = engine.connect(m_settings.target);
    if (result.endpoint)
        return connection->dialed(std::move(result.endpoint));

    TransportError &error = result.error;
    if (mayTryAgain(result)) {
        const auto passed = Clock::now() - m_begin;
        if (m_settings.timeout < 0ms)
            return later(engine, m_pauses.nextJittered());
        if (passed < m_settings.timeout) { // the last try is when the time is over
            const auto left =
                    std::chrono::ceil<std::chrono::milliseconds>(m_settings.timeout - passed);
            return later(engine, std::min(m_pauses.nextJittered(), left));
        }
        error.error = NamedPipe::ConnectTimeout;
        error.detail = (result.isBusy ? Text::tr("the server could take no client within %1 ms")
                                      : Text::tr("no server within %1 ms"))
                               .arg(m_settings.timeout.count());
    }
    if (!m_settings.isPersistent)
        return connection->dialFailed(error);
    m_isTrying = false;
    const auto delay = m_settings.delays->nextJittered();
    qCDebug(lcConnection, "%ls; next try in %d ms", qUtf16Printable(error.text()),
            int(delay.count()));
    const quint32 kind = 1u << error.error;
    if (!(m_told & kind))
        connection->dialDelayed(error);
    m_told |= kind;
    later(engine, delay);
}

bool PipeDialer::mayTryAgain(const DialResult &result) const
{
    return result.isBusy || (m_settings.waitForServer && result.error.error == NamedPipe::NotFound);
}

} // namespace QtNamedPipes
