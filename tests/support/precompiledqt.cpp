// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// Nothing: the target of this file has the precompiled header that the suites use.
