// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_FUZZING_H
#define QTNAMEDPIPES_FUZZING_H

// What the targets share. A target is one source file with LLVMFuzzerTestOneInput(). It is linked
// twice: with libFuzzer, which looks for inputs, and with replay.cpp, which is a Qt Test suite.

#include <QtCore/qglobal.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace Fuzzing {

/// A rule that an input has broken. libFuzzer takes it for a crash, since nobody catches it; the
/// suite tells it as a failure.
class Finding : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

inline void check(bool holds, const char *rule)
{
    if (!holds)
        throw Finding(rule);
}

/// An input is a sequence of choices; when it is used up, all of them are 0.
class Input
{
public:
    Input(const uint8_t *data, size_t size) : m_at(data), m_end(data + size) { }

    bool atEnd() const { return m_at == m_end; }
    quint32 byte() { return atEnd() ? 0 : *m_at++; }
    quint32 twoBytes()
    {
        const quint32 high = byte();
        return high << 8 | byte();
    }
    bool flag() { return byte() & 1; }

    template<typename T, size_t N>
    T oneOf(const T (&choices)[N])
    {
        return choices[byte() % N];
    }

private:
    const uint8_t *m_at;
    const uint8_t *const m_end;
};

} // namespace Fuzzing

#endif // QTNAMEDPIPES_FUZZING_H
