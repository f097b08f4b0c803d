// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef QTNAMEDPIPES_TESTS_STRESS_H
#define QTNAMEDPIPES_TESTS_STRESS_H

/// The percentage in QTNAMEDPIPES_STRESS, 100 when it is not set: slow surroundings (sanitizers,
/// Wine) ask for less, a soak run for more.
int stressPercent();

/// \a full repetitions scaled by stressPercent(), but never fewer than \a least.
int scaled(int full, int least = 1);

#endif // QTNAMEDPIPES_TESTS_STRESS_H
