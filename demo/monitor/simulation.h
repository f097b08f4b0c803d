// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef SIMULATION_H
#define SIMULATION_H

#include <QtCore/qstring.h>

/// Clients that somebody simulates.
struct SimulationSettings
{
    QString pipeName;
    int clients = 10;
    int rate = 10; ///< messages per second and client; 0: as many as the server takes
    int size = 256; ///< bytes of a message
};

/// Lets the clients live in this process, until the server has closed all of them or standard input
/// ends. Prints "connected N" for the process that has started it. The exit code of the process.
int runSimulation(const SimulationSettings &settings);

#endif // SIMULATION_H
