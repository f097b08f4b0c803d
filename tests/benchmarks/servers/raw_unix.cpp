// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The practical limit on Linux: see rawloop.h.

#include "common/process.h"
#include "servers/rawloop.h"

int main(int argc, char **argv)
{
    const auto options = bench::ServerOptions::parse(argc, argv);
    bench::raiseDescriptorLimit();
    bench::RawLoop<bench::Service> server(options);
    bench::sayReady();
    server.run();
}
