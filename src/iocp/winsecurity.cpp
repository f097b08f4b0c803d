// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocp/winsecurity.h"

#include "core/text.h"
#include "iocp/winerror.h"

#include <cstddef>
#include <type_traits>
#include <vector>

namespace QtNamedPipes {

// What a client needs: FILE_GENERIC_READ and FILE_GENERIC_WRITE without FILE_CREATE_PIPE_INSTANCE,
// which shares its bit with FILE_APPEND_DATA: a client that had it could pose as an instance of the
// server.
static constexpr DWORD ClientRights =
        FILE_GENERIC_READ | (FILE_GENERIC_WRITE & ~FILE_CREATE_PIPE_INSTANCE);
static_assert(ClientRights == 0x0012019B,
              "the rights that docs and SDDL strings of the field show");

static QString sidText(PSID sid)
{
    LPWSTR text = nullptr;
    if (!sid || !winApi().convertSidToStringSid(sid, &text))
        return {};
    const QString result = QString::fromWCharArray(text);
    LocalFree(text);
    return result;
}

/// The SID at the head of one of the structures that a token gives out; empty when it does not.
template<typename Information>
static QString tokenSid(HANDLE token, TOKEN_INFORMATION_CLASS which,
                        PSID (*sidOf)(const Information &))
{
    DWORD size = 0;
    winApi().getTokenInformation(token, which, nullptr, 0, &size);
    std::vector<std::max_align_t> buffer(size / sizeof(std::max_align_t) + 1);
    if (size == 0 || !winApi().getTokenInformation(token, which, buffer.data(), size, &size))
        return {};
    return sidText(sidOf(*reinterpret_cast<const Information *>(buffer.data())));
}

static QString tokenUser(HANDLE token)
{
    return tokenSid<TOKEN_USER>(token, TokenUser,
                                [](const TOKEN_USER &user) { return user.User.Sid; });
}

static QString tokenGroup(HANDLE token)
{
    return tokenSid<TOKEN_PRIMARY_GROUP>(token, TokenPrimaryGroup,
                                         [](const TOKEN_PRIMARY_GROUP &group) {
                                             return group.PrimaryGroup;
                                         });
}

/// What is created without a word about its owner belongs to this one: the user or, when elevated,
/// the administrators.
static QString tokenOwner(HANDLE token)
{
    return tokenSid<TOKEN_OWNER>(token, TokenOwner,
                                 [](const TOKEN_OWNER &owner) { return owner.Owner; });
}

static TransportError openOwnToken(WinHandle *token)
{
    HANDLE opened = nullptr;
    const BOOL ok = winApi().openProcessToken(GetCurrentProcess(), TOKEN_QUERY, &opened);
    const DWORD code = ok ? ERROR_SUCCESS : GetLastError();
    *token = WinHandle(opened);
    return winError(code, "OpenProcessToken");
}

TransportError WinSecurity::describe(NamedPipe::AccessOptions access, QString *sddl)
{
    WinHandle token;
    if (const TransportError error = openOwnToken(&token))
        return error;
    const QString user = tokenUser(token.get());
    const QString group = tokenGroup(token.get());
    if (user.isEmpty() || group.isEmpty()) {
        return { NamedPipe::SystemError, 0, "GetTokenInformation",
                 Text::tr("cannot find out which user runs the server") };
    }

    // O: the user owns the pipe of an elevated server, too; checkPipeOwner() looks at that.
    // P: nothing is inherited. The user who runs the server always has all rights, since each
    // further instance is created under them.
    *sddl = QStringLiteral("O:%1D:P(A;;FA;;;%1)(A;;FA;;;SY)(A;;FA;;;BA)").arg(user);
    const auto allow = [sddl](const QString &who) {
        *sddl += QStringLiteral("(A;;0x%1;;;%2)")
                         .arg(ClientRights, 8, 16, QLatin1Char('0'))
                         .arg(who);
    };
    if (access & NamedPipe::GroupAccess)
        allow(group);
    if (access & NamedPipe::OtherAccess)
        allow(QStringLiteral("WD"));
    return {};
}

TransportError WinSecurity::set(const ListenSettings &settings)
{
    QString sddl = settings.securityDescriptor;
    if (sddl.isEmpty()) {
        if (const TransportError error = describe(settings.access, &sddl))
            return error;
    }
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    const BOOL ok = winApi().convertSecurityDescriptor(reinterpret_cast<LPCWSTR>(sddl.utf16()),
                                                       SDDL_REVISION_1, &descriptor, nullptr);
    const DWORD code = ok ? ERROR_SUCCESS : GetLastError();
    static const char *const operation = "ConvertStringSecurityDescriptorToSecurityDescriptor";
    if (isShortage(code))
        return winError(code, operation);
    if (!ok) {
        return { NamedPipe::InvalidConfiguration, qint64(code), operation,
                 QStringLiteral("the security descriptor \"%1\" is not valid SDDL").arg(sddl) };
    }
    m_descriptor.reset(descriptor);
    return {};
}

SECURITY_ATTRIBUTES WinSecurity::attributes() const
{
    return { sizeof(SECURITY_ATTRIBUTES), m_descriptor.get(), FALSE };
}

static PeerIdentity identityOf(ULONG processId)
{
    PeerIdentity peer;
    peer.processId = qint64(processId);
    const WinHandle process(
            winApi().openProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, processId));
    HANDLE token = nullptr;
    if (process && winApi().openProcessToken(process.get(), TOKEN_QUERY, &token))
        peer.userId = tokenUser(WinHandle(token).get());
    return peer;
}

PeerIdentity pipeClient(HANDLE pipe)
{
    ULONG processId = 0;
    return winApi().getNamedPipeClientProcessId(pipe, &processId) ? identityOf(processId)
                                                                  : PeerIdentity();
}

PeerIdentity pipeServer(HANDLE pipe)
{
    ULONG processId = 0;
    return winApi().getNamedPipeServerProcessId(pipe, &processId) ? identityOf(processId)
                                                                  : PeerIdentity();
}

TransportError checkPipeOwner(HANDLE pipe)
{
    PSID owner = nullptr;
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    const DWORD code = winApi().getSecurityInfo(pipe, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION,
                                                &owner, nullptr, nullptr, nullptr, &descriptor);
    const LocalMemory memory(descriptor);
    if (code != ERROR_SUCCESS)
        return winError(code, "GetSecurityInfo");
    WinHandle token;
    if (const TransportError error = openOwnToken(&token))
        return error;
    const QString server = sidText(owner);
    const bool isSame = !server.isEmpty()
            && (server == tokenUser(token.get()) || server == tokenOwner(token.get()));
    if (isSame)
        return {};
    return { NamedPipe::AccessDenied, 0, "",
             server.isEmpty() ? Text::tr("the server is run by an unknown user")
                              : Text::tr("the server is run by another user (%1)").arg(server) };
}

} // namespace QtNamedPipes
