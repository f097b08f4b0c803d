// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "epoll/unixerror.h"

#include <QtCore/qglobal.h>

#include <cerrno>
#include <system_error>

namespace QtNamedPipes {

static NamedPipe::Error translate(int code)
{
    switch (code) {
    case EADDRINUSE:
    case EEXIST:
        return NamedPipe::NameInUse;
    case EACCES:
    case EPERM:
        return NamedPipe::AccessDenied;
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return NamedPipe::NotFound;
    case ENAMETOOLONG:
    case EILSEQ:
        return NamedPipe::NameInvalid;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return NamedPipe::ConnectionBroken;
    case EAGAIN: // as pthread_create has it: too many threads
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
        return NamedPipe::ResourceExhausted;
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
        return NamedPipe::Unsupported;
    default:
        return NamedPipe::SystemError;
    }
}

TransportError unixError(int code, const char *operation, const QString &detail)
{
    return { translate(code), code, operation, detail };
}

bool isExhaustion(int code)
{
    return translate(code) == NamedPipe::ResourceExhausted;
}

QString platformErrorText(qint64 nativeCode)
{
    return QString::fromStdString(std::generic_category().message(int(nativeCode)));
}

} // namespace QtNamedPipes
