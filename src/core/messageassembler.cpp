// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "core/messageassembler.h"

#include <utility>

namespace QtNamedPipes {

bool MessageAssembler::addFragment(const char *data, qsizetype size, qint64 remaining)
{
    m_inMessage = true;
    if (m_maximum > 0 && m_message.size() + size + remaining > m_maximum)
        return false;
    m_message.append(data, size);
    return true;
}

bool MessageAssembler::finish(const char *data, qsizetype size, MessageBatch &batch)
{
    if (!addFragment(data, size, 0))
        return false;
    batch.whole = std::exchange(m_message, QByteArray());
    batch.hasWhole = true;
    m_inMessage = false;
    return true;
}

} // namespace QtNamedPipes
