// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

// The load generator: measures one row of the table against one server that runs already.

#include "common/process.h"
#include "load/links.h"
#include "load/rows.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>

static const char Usage[] =
        "bench-load --links KIND --name NAME --row ROW [--clients N] [--size BYTES] [--window N]\n"
        "           [--seconds T] [--most N] [--idle N]\n"
        "links: stream, zeromq, nng; on Windows pipe, bytes\n"
        "rows: oneway, flood, echo, broadcast, churn, idle\n";

static std::unique_ptr<bench::Links> makeLinks(const std::string &kind, const std::string &name)
{
#ifdef _WIN32
    if (kind == "pipe")
        return bench::makePipeLinks(name);
    if (kind == "bytes")
        return bench::makeByteLinks(name);
#else
    if (kind == "stream")
        return bench::makeStreamLinks(name);
#endif
#ifdef BENCH_HAS_ZEROMQ
    if (kind == "zeromq")
        return bench::makeZeroMqLinks(name);
#endif
#ifdef BENCH_HAS_NNG
    if (kind == "nng")
        return bench::makeNngLinks(name);
#endif
    throw std::runtime_error("this program was built without links of the kind \"" + kind + '"');
}

int main(int argc, char **argv)
{
    std::string kind;
    std::string name;
    bench::RowOptions options;
    for (int i = 1; i < argc; i += 2) {
        const std::string option = argv[i];
        const char *const value = i + 1 < argc ? argv[i + 1] : "";
        if (option == "--links")
            kind = value;
        else if (option == "--name")
            name = value;
        else if (option == "--row")
            options.row = value;
        else if (option == "--clients")
            options.clients = std::atoi(value);
        else if (option == "--size")
            options.size = std::size_t(std::atoll(value));
        else if (option == "--window")
            options.window = std::atoi(value);
        else if (option == "--seconds")
            options.seconds = std::atof(value);
        else if (option == "--most")
            options.most = std::uint64_t(std::atoll(value));
        else if (option == "--idle")
            options.idle = std::atoi(value);
        else
            return std::fprintf(stderr, "what is %s?\n%s", argv[i], Usage), 2;
    }
    if (kind.empty() || name.empty() || options.row.empty())
        return std::fputs(Usage, stderr), 2;

    try {
        bench::raiseDescriptorLimit();
        const std::unique_ptr<bench::Links> links = makeLinks(kind, name);
        std::puts(bench::runRow(*links, options).c_str());
        return 0;
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s: %s\n", options.row.c_str(), error.what());
        return 1;
    }
}
