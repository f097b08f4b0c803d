// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "iocpfixture.h"

#include "iocp/iocpconnector.h"
#include "iocp/winsecurity.h"
#include "platformflags.h"
#include "processfacts.h"
#include "rawpeer.h"
#include "skipping.h"

#include <QtCore/qcoreapplication.h>
#include <QtCore/qloggingcategory.h>
#include <QtCore/qregularexpression.h>
#include <QtTest/QtTest>

#include <sddl.h>

#include <vector>

using namespace QtNamedPipes;
using namespace Qt::StringLiterals;

namespace {

/// What CreateFile() was asked.
struct OpenCall
{
    std::wstring path;
    DWORD access;
    DWORD share;
    SECURITY_ATTRIBUTES *attributes;
    DWORD disposition;
    DWORD flags;

    HANDLE pass() const
    {
        return ::CreateFileW(path.c_str(), access, share, attributes, disposition, flags, nullptr);
    }
};

/// The system calls that only the connector makes.
class ConnectorApi : public ScriptedApi
{
public:
    ConnectorApi()
    {
        s_self = this;
        WinApi &api = winApi();
        api.createFile = &createFile;
        api.waitNamedPipe = &waitNamedPipe;
        api.setNamedPipeHandleState = &setNamedPipeHandleState;
        api.getNamedPipeServerProcessId = &getNamedPipeServerProcessId;
        api.getSecurityInfo = &getSecurityInfo;
        api.findFirstFile = &findFirstFile;
        api.findNextFile = &findNextFile;
        api.findClose = &findClose;
    }
    ~ConnectorApi() { s_self = nullptr; }

    Steps<HANDLE(const OpenCall &call)> opens;
    Steps<BOOL()> waits;
    Steps<BOOL(DWORD mode)> modes;
    Steps<BOOL(ULONG *id)> servers;
    Steps<DWORD(PSID *owner)> owners;
    Steps<HANDLE(const std::wstring &pattern, WIN32_FIND_DATAW *found)> firsts;
    Steps<BOOL(HANDLE search, WIN32_FIND_DATAW *found)> nexts;
    Steps<BOOL(HANDLE search)> ends;

    static HANDLE failToOpen(DWORD error)
    {
        SetLastError(error);
        return INVALID_HANDLE_VALUE;
    }

private:
    static HANDLE WINAPI createFile(LPCWSTR path, DWORD access, DWORD share,
                                    LPSECURITY_ATTRIBUTES attributes, DWORD disposition,
                                    DWORD flags, HANDLE)
    {
        const OpenCall call { path, access, share, attributes, disposition, flags };
        const auto step = s_self->opens.take();
        return step ? step(call) : call.pass();
    }
    static BOOL WINAPI waitNamedPipe(LPCWSTR path, DWORD timeout)
    {
        const auto step = s_self->waits.take();
        return step ? step() : ::WaitNamedPipeW(path, timeout);
    }
    static BOOL WINAPI setNamedPipeHandleState(HANDLE pipe, LPDWORD mode, LPDWORD count,
                                               LPDWORD timeout)
    {
        const auto step = s_self->modes.take();
        return step ? step(*mode) : ::SetNamedPipeHandleState(pipe, mode, count, timeout);
    }
    static BOOL WINAPI getNamedPipeServerProcessId(HANDLE pipe, PULONG id)
    {
        const auto step = s_self->servers.take();
        return step ? step(id) : ::GetNamedPipeServerProcessId(pipe, id);
    }
    static DWORD WINAPI getSecurityInfo(HANDLE pipe, SE_OBJECT_TYPE type, SECURITY_INFORMATION what,
                                        PSID *owner, PSID *group, PACL *dacl, PACL *sacl,
                                        PSECURITY_DESCRIPTOR *descriptor)
    {
        const auto step = s_self->owners.take();
        return step ? step(owner)
                    : ::GetSecurityInfo(pipe, type, what, owner, group, dacl, sacl, descriptor);
    }
    static HANDLE WINAPI findFirstFile(LPCWSTR pattern, LPWIN32_FIND_DATAW found)
    {
        const auto step = s_self->firsts.take();
        return step ? step(pattern, found) : ::FindFirstFileW(pattern, found);
    }
    static BOOL WINAPI findNextFile(HANDLE search, LPWIN32_FIND_DATAW found)
    {
        const auto step = s_self->nexts.take();
        return step ? step(search, found) : ::FindNextFileW(search, found);
    }
    static BOOL WINAPI findClose(HANDLE search)
    {
        const auto step = s_self->ends.take();
        return step ? step(search) : ::FindClose(search);
    }

    inline static ConnectorApi *s_self = nullptr;
};

/// A SID made of its text; null for none.
class Sid
{
public:
    explicit Sid(const QString &text)
    {
        PSID sid = nullptr;
        if (!text.isEmpty()
            && ConvertStringSidToSidW(reinterpret_cast<LPCWSTR>(text.utf16()), &sid))
            m_memory.reset(sid);
    }
    PSID get() const { return m_memory.get(); }

private:
    LocalMemory m_memory;
};

/// A server without a line of the library, of the kind that is asked for.
struct ForeignServer
{
    explicit ForeignServer(DWORD type = PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE,
                           SECURITY_ATTRIBUTES *attributes = nullptr)
        : name(scratchName()),
          pipe(::CreateNamedPipeW(platformPipePath(name).toStdWString().c_str(), PIPE_ACCESS_DUPLEX,
                                  type, 1, 4096, 4096, 0, attributes))
    {
    }

    const QString name;
    WinHandle pipe;
};

/// Lets everybody in, and keeps the endpoints.
class OpenDoor final : public ListenerSink
{
public:
    bool reservePlace() override { return true; }
    void releasePlace() override { }
    void accepted(std::shared_ptr<PipeEndpoint> endpoint) override
    {
        endpoint->attach(sink);
        endpoint->watch();
        const std::lock_guard<std::mutex> lock(m_mutex);
        m_endpoints.push_back(std::move(endpoint));
    }
    void refused(const PeerIdentity &) override { }
    void listenerFailed(const TransportError &) override { }

    /// The first client; null when nobody comes.
    std::shared_ptr<PipeEndpoint> client() const
    {
        const auto first = [this] {
            const std::lock_guard<std::mutex> lock(m_mutex);
            return m_endpoints.empty() ? nullptr : m_endpoints.front();
        };
        waitWithoutEvents([&] { return first() != nullptr; });
        return first();
    }

    const std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>();

private:
    mutable std::mutex m_mutex;
    std::vector<std::shared_ptr<PipeEndpoint>> m_endpoints;
};

} // namespace

/// One attempt to connect: what it asks the system for, and what comes out of every answer.
class tst_IocpConnector : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void pipeIsOpenedAsItMustBe_data();
    void pipeIsOpenedAsItMustBe();
    void refusedOpenHasItsReason_data();
    void refusedOpenHasItsReason();
    void missingServerIsNotFound();
    void busyServerIsNotWaitedFor();
    void readsMessages();
    void byteServerIsUnsupported_data();
    void byteServerIsUnsupported();
    void serverThatGoesMeanwhileIsTriedAgain_data();
    void serverThatGoesMeanwhileIsTriedAgain();
    void serverThatReallyGoesMeanwhile();
    void pipeThatCannotBeBoundIsAnError();
    void serverIsKnown();
    void unknownServerIsNoError();
    void ownerOfThePipeDecides_data();
    void ownerOfThePipeDecides();
    void ownerThatCannotBeReadIsAnError_data();
    void ownerThatCannotBeReadIsAnError();
    void ownerOfARealPipeDecides();
    void ownServerPassesTheCheck();
    void failuresLeaveNoHandle_data();
    void failuresLeaveNoHandle();
    void endpointTalks();
    void endpointSeesTheServerGo();
    void earlyMessagesKeepTheirBoundaries();
    void namesAreListed();
    void namesThatCannotBeListed_data();
    void namesThatCannotBeListed();
    void brokenListKeepsWhatCame();
    void realPipesAreListed();
    void namesIgnoreCase();

private:
    static DialResult dial(const RunningEngine &engine, const QString &name,
                           NamedPipe::ServerAccess access = NamedPipe::AnyUser)
    {
        return engine->connect({ name, access });
    }
    static void addGoneRows()
    {
        QTest::addColumn<quint32>("code");
        QTest::newRow("ERROR_BROKEN_PIPE") << quint32(ERROR_BROKEN_PIPE);
        QTest::newRow("ERROR_NO_DATA") << quint32(ERROR_NO_DATA);
        QTest::newRow("ERROR_PIPE_NOT_CONNECTED") << quint32(ERROR_PIPE_NOT_CONNECTED);
    }
    // A SID of the token of this process, as text.
    template<typename Information>
    static QString ownSid(TOKEN_INFORMATION_CLASS which, PSID Information::*sid)
    {
        HANDLE token = nullptr;
        if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
            return {};
        const WinHandle keeper(token);
        alignas(Information) char buffer[1024];
        DWORD size = sizeof buffer;
        LPWSTR text = nullptr;
        if (!GetTokenInformation(token, which, buffer, size, &size)
            || !ConvertSidToStringSidW(reinterpret_cast<Information *>(buffer)->*sid, &text))
            return {};
        const LocalMemory memory(text);
        return QString::fromWCharArray(text);
    }
    static QString defaultOwner() { return ownSid(TokenOwner, &TOKEN_OWNER::Owner); }
    // Nobody has it.
    static QString stranger() { return u"S-1-5-21-1-2-3-1001"_s; }
};

// --- Opening ---

void tst_IocpConnector::pipeIsOpenedAsItMustBe_data()
{
    QTest::addColumn<NamedPipe::ServerAccess>("access");
    QTest::addColumn<quint32>("rights");
    const DWORD rights = FILE_READ_DATA | FILE_WRITE_DATA | FILE_READ_ATTRIBUTES
            | FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
    QTest::newRow("any user") << NamedPipe::AnyUser << quint32(rights);
    QTest::newRow("current user") << NamedPipe::CurrentUser << quint32(rights | READ_CONTROL);
}

void tst_IocpConnector::pipeIsOpenedAsItMustBe()
{
    QFETCH(NamedPipe::ServerAccess, access);
    QFETCH(quint32, rights);
    ConnectorApi api;
    const RunningEngine engine;
    QList<OpenCall> calls;
    api.opens << [&](const OpenCall &call) {
        calls.append(call);
        return ConnectorApi::failToOpen(ERROR_ACCESS_DENIED);
    };
    QVERIFY(!dial(engine, u"Some Name"_s, access).endpoint);
    QCOMPARE(calls.size(), 1);
    const OpenCall &call = calls.constFirst();
    QCOMPARE(QString::fromStdWString(call.path), u"\\\\.\\pipe\\Some Name"_s);
    QCOMPARE(call.access, DWORD(rights));
    QVERIFY2(!(call.access & FILE_CREATE_PIPE_INSTANCE), "a client does not get this right");
    QCOMPARE(call.share, DWORD(0));
    QVERIFY2(!call.attributes || !call.attributes->bInheritHandle, "no child process gets it");
    QCOMPARE(call.disposition, DWORD(OPEN_EXISTING));
    QCOMPARE(call.flags,
             DWORD(FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION));
}

void tst_IocpConnector::refusedOpenHasItsReason_data()
{
    QTest::addColumn<quint32>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<bool>("isBusy");
    const auto row = [](const char *name, quint32 code, NamedPipe::Error error, bool isBusy) {
        QTest::newRow(name) << code << error << isBusy;
    };
    row("busy", ERROR_PIPE_BUSY, NamedPipe::ResourceExhausted, true);
    row("no server", ERROR_FILE_NOT_FOUND, NamedPipe::NotFound, false);
    row("denied", ERROR_ACCESS_DENIED, NamedPipe::AccessDenied, false);
    row("no memory", ERROR_NO_SYSTEM_RESOURCES, NamedPipe::ResourceExhausted, false);
    row("bad name", ERROR_INVALID_NAME, NamedPipe::NameInvalid, false);
    row("anything else", ERROR_GEN_FAILURE, NamedPipe::SystemError, false);
}

void tst_IocpConnector::refusedOpenHasItsReason()
{
    QFETCH(quint32, code);
    QFETCH(NamedPipe::Error, error);
    QFETCH(bool, isBusy);
    ConnectorApi api;
    const RunningEngine engine;
    api.opens << [&](const OpenCall &) { return ConnectorApi::failToOpen(code); };
    const DialResult result = dial(engine, u"Name"_s, NamedPipe::CurrentUser);
    QVERIFY(!result.endpoint);
    QCOMPARE(result.error.error, error);
    QCOMPARE(result.error.nativeCode, qint64(code));
    QCOMPARE(result.isBusy, isBusy);
    QVERIFY2(result.error.text().endsWith(u"(CreateFile: %1)"_s.arg(code)),
             qPrintable(result.error.text()));
    QCOMPARE(api.opens.calls(), 1);
    QCOMPARE(api.modes.calls() + api.owners.calls() + api.servers.calls() + api.binds.calls(), 0);
}

void tst_IocpConnector::missingServerIsNotFound()
{
    const RunningEngine engine;
    const QString name = scratchName();
    const DialResult result = dial(engine, name);
    QVERIFY(!result.endpoint);
    QVERIFY(!result.isBusy);
    QCOMPARE(result.error.error, NamedPipe::NotFound);
    QCOMPARE(result.error.text(), u"no server runs at \\\\.\\pipe\\%1 (CreateFile: 2)"_s.arg(name));
}

void tst_IocpConnector::busyServerIsNotWaitedFor()
{
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server;
    RawPeer first;
    QVERIFY(first.connectTo(server.name));
    const DialResult result = dial(engine, server.name);
    QVERIFY(!result.endpoint);
    QVERIFY(result.isBusy);
    QCOMPARE(result.error.error, NamedPipe::ResourceExhausted);
    QCOMPARE(result.error.nativeCode, qint64(ERROR_PIPE_BUSY));
    QCOMPARE(api.opens.calls(), 1);
    QCOMPARE(api.waits.calls(), 0);
}

// --- Messages ---

void tst_IocpConnector::readsMessages()
{
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server;
    const DialResult result = dial(engine, server.name);
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
    DWORD mode = 0;
    QVERIFY(::GetNamedPipeHandleStateW(reinterpret_cast<HANDLE>(result.endpoint->handle()), &mode,
                                       nullptr, nullptr, nullptr, nullptr, 0));
    QCOMPARE(mode, DWORD(PIPE_READMODE_MESSAGE));
    QCOMPARE(api.modes.calls(), 1);
    QVERIFY2(api.reads.calls() + api.watches.calls() == 0, "nothing is read before");
}

void tst_IocpConnector::byteServerIsUnsupported_data()
{
    QTest::addColumn<bool>("isReal");
    QTest::newRow("real") << true;
    QTest::newRow("injected") << false;
}

void tst_IocpConnector::byteServerIsUnsupported()
{
    QFETCH(bool, isReal);
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server(isReal ? PIPE_TYPE_BYTE : PIPE_TYPE_MESSAGE);
    DWORD asked = 0;
    if (!isReal) {
        api.modes << [&](DWORD mode) {
            asked = mode;
            return ScriptedApi::fail(ERROR_INVALID_PARAMETER);
        };
    }
    const DialResult result = dial(engine, server.name);
    QVERIFY(!result.endpoint);
    QVERIFY(!result.isBusy);
    QCOMPARE(result.error.error, NamedPipe::Unsupported);
    QCOMPARE(result.error.nativeCode, qint64(ERROR_INVALID_PARAMETER));
    QCOMPARE(result.error.text(),
             u"the pipe of the server carries bytes, not messages (SetNamedPipeHandleState: 87)"_s);
    if (!isReal)
        QCOMPARE(asked, DWORD(PIPE_READMODE_MESSAGE));
}

// --- The server goes ---

void tst_IocpConnector::serverThatGoesMeanwhileIsTriedAgain_data()
{
    addGoneRows();
}

void tst_IocpConnector::serverThatGoesMeanwhileIsTriedAgain()
{
    QFETCH(quint32, code);
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server;
    api.modes << [&](DWORD) { return ScriptedApi::fail(code); };
    const DialResult result = dial(engine, server.name);
    QVERIFY(!result.endpoint);
    QVERIFY(result.isBusy);
    QCOMPARE(result.error.error, NamedPipe::ConnectionBroken);
    QCOMPARE(result.error.nativeCode, qint64(code));
}

void tst_IocpConnector::serverThatReallyGoesMeanwhile()
{
    ConnectorApi api;
    const RunningEngine engine;
    ForeignServer server;
    api.opens << [&](const OpenCall &call) {
        const HANDLE pipe = call.pass();
        server.pipe.close();
        return pipe;
    };
    // Either it is found out now, or the endpoint finds the end when it reads.
    const DialResult result = dial(engine, server.name);
    if (result.endpoint) {
        const auto sink = std::make_shared<RecordingSink>();
        result.endpoint->attach(sink);
        result.endpoint->startRead(1);
        QVERIFY(waitWithoutEvents([&] { return !sink->ends().isEmpty(); }));
        QCOMPARE(sink->ends(), QList<ReadEnd> { ReadEnd::PeerClosed });
        result.endpoint->close();
    } else {
        QVERIFY2(result.isBusy, qPrintable(result.error.text()));
    }
    QCOMPARE(dial(engine, server.name).error.error, NamedPipe::NotFound);
}

void tst_IocpConnector::pipeThatCannotBeBoundIsAnError()
{
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server;
    api.binds << [] {
        SetLastError(ERROR_NO_SYSTEM_RESOURCES);
        return HANDLE();
    };
    const DialResult result = dial(engine, server.name);
    QVERIFY(!result.endpoint);
    QVERIFY(!result.isBusy);
    QCOMPARE(result.error.error, NamedPipe::ResourceExhausted);
    QCOMPARE(QByteArray(result.error.operation), QByteArray("CreateIoCompletionPort"));
}

// --- Who the server is ---

void tst_IocpConnector::serverIsKnown()
{
    const RunningEngine engine;
    const ForeignServer server;
    const DialResult result = dial(engine, server.name);
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
    QCOMPARE(result.endpoint->peer().processId, QCoreApplication::applicationPid());
    QCOMPARE(result.endpoint->peer().userId, ProcessFacts::userId());
}

void tst_IocpConnector::unknownServerIsNoError()
{
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server;
    api.servers << [](ULONG *) { return ScriptedApi::fail(ERROR_NOT_FOUND); };
    const DialResult result = dial(engine, server.name);
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
    QCOMPARE(api.servers.calls(), 1);
    QCOMPARE(result.endpoint->peer().processId, qint64(0));
    QCOMPARE(result.endpoint->peer().userId, QString());
}

void tst_IocpConnector::ownerOfThePipeDecides_data()
{
    QTest::addColumn<NamedPipe::ServerAccess>("access");
    QTest::addColumn<QString>("owner");
    QTest::addColumn<QString>("refusal");
    const auto current = NamedPipe::CurrentUser;
    QTest::newRow("the user") << current << ProcessFacts::userId() << QString();
    // On an elevated process, the administrators; else the user again.
    QTest::newRow("the default owner") << current << defaultOwner() << QString();
    QTest::newRow("another user") << current << stranger()
                                  << u"the server is run by another user (S-1-5-21-1-2-3-1001)"_s;
    QTest::newRow("a user like ours")
            << current << ProcessFacts::userId() + u'1'
            << u"the server is run by another user (%1)"_s.arg(ProcessFacts::userId() + u'1');
    QTest::newRow("nobody") << current << QString() << u"the server is run by an unknown user"_s;
    QTest::newRow("another user, and any will do") << NamedPipe::AnyUser << stranger() << QString();
}

void tst_IocpConnector::ownerOfThePipeDecides()
{
    QFETCH(NamedPipe::ServerAccess, access);
    QFETCH(QString, owner);
    QFETCH(QString, refusal);
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server;
    const Sid sid(owner);
    QVERIFY(owner.isEmpty() || sid.get());
    api.owners << [&](PSID *result) {
        *result = sid.get();
        return DWORD(ERROR_SUCCESS);
    };
    const DialResult result = dial(engine, server.name, access);
    QCOMPARE(api.owners.calls(), access == NamedPipe::CurrentUser ? 1 : 0);
    QVERIFY(!result.isBusy);
    QCOMPARE(result.error.detail, refusal);
    QCOMPARE(result.endpoint != nullptr, refusal.isEmpty());
    QCOMPARE(result.error.error, refusal.isEmpty() ? NamedPipe::NoError : NamedPipe::AccessDenied);
}

void tst_IocpConnector::ownerThatCannotBeReadIsAnError_data()
{
    QTest::addColumn<quint32>("code");
    QTest::addColumn<NamedPipe::Error>("error");
    QTest::addColumn<bool>("isBusy");
    QTest::newRow("denied") << quint32(ERROR_ACCESS_DENIED) << NamedPipe::AccessDenied << false;
    QTest::newRow("no memory") << quint32(ERROR_NOT_ENOUGH_MEMORY) << NamedPipe::ResourceExhausted
                               << false;
    QTest::newRow("server gone") << quint32(ERROR_PIPE_NOT_CONNECTED) << NamedPipe::ConnectionBroken
                                 << true;
}

void tst_IocpConnector::ownerThatCannotBeReadIsAnError()
{
    QFETCH(quint32, code);
    QFETCH(NamedPipe::Error, error);
    QFETCH(bool, isBusy);
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server;
    // It returns its code; what GetLastError() says has nothing to do with it.
    api.owners << [&](PSID *) {
        SetLastError(ERROR_SUCCESS);
        return DWORD(code);
    };
    const DialResult result = dial(engine, server.name, NamedPipe::CurrentUser);
    QVERIFY(!result.endpoint);
    QCOMPARE(result.error.error, error);
    QCOMPARE(result.error.nativeCode, qint64(code));
    QCOMPARE(QByteArray(result.error.operation), QByteArray("GetSecurityInfo"));
    QCOMPARE(result.isBusy, isBusy);
}

void tst_IocpConnector::ownerOfARealPipeDecides()
{
    const RunningEngine engine;
    const auto dialOwnedBy = [&](const QString &owner, DialResult *result) {
        ListenSettings settings;
        settings.securityDescriptor = u"O:%1D:(A;;FA;;;WD)"_s.arg(owner);
        WinSecurity security;
        if (security.set(settings))
            return false;
        SECURITY_ATTRIBUTES attributes = security.attributes();
        const ForeignServer server(PIPE_TYPE_MESSAGE, &attributes);
        *result = dial(engine, server.name, NamedPipe::CurrentUser);
        return bool(server.pipe);
    };
    DialResult result;
    QVERIFY(dialOwnedBy(ProcessFacts::userId(), &result));
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
    QVERIFY(dialOwnedBy(defaultOwner(), &result));
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
    if (!dialOwnedBy(stranger(), &result))
        SKIP_BECAUSE("the system lets nobody give a pipe to another user");
    QVERIFY(!result.endpoint);
    QCOMPARE(result.error.error, NamedPipe::AccessDenied);
    QVERIFY2(result.error.text().contains(stranger()), qPrintable(result.error.text()));
}

void tst_IocpConnector::ownServerPassesTheCheck()
{
    const RunningEngine engine;
    const auto door = std::make_shared<OpenDoor>();
    ListenSettings settings;
    settings.name = scratchName();
    QVERIFY(!engine->listen(settings, door));
    const DialResult result = dial(engine, settings.name, NamedPipe::CurrentUser);
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
}

// --- Handles ---

void tst_IocpConnector::failuresLeaveNoHandle_data()
{
    QTest::addColumn<QString>("failure");
    for (const char *failure : { "none", "byte mode", "gone", "bind", "owner", "stranger" })
        QTest::newRow(failure) << QString::fromLatin1(failure);
}

void tst_IocpConnector::failuresLeaveNoHandle()
{
    QFETCH(QString, failure);
    ConnectorApi api;
    const RunningEngine engine;
    const Sid sid(failure == u"none" ? ProcessFacts::userId() : stranger());
    HANDLE pipe = nullptr;
    api.opens.always([&](const OpenCall &call) { return pipe = call.pass(); });
    api.owners.always([&](PSID *owner) {
        *owner = sid.get();
        return DWORD(failure == u"owner" ? ERROR_ACCESS_DENIED : ERROR_SUCCESS);
    });
    if (failure == u"byte mode")
        api.modes.always([](DWORD) { return ScriptedApi::fail(ERROR_INVALID_PARAMETER); });
    if (failure == u"gone")
        api.modes.always([](DWORD) { return ScriptedApi::fail(ERROR_PIPE_NOT_CONNECTED); });
    if (failure == u"bind")
        api.binds.always([] { return HANDLE(); });

    const ForeignServer server;
    DialResult result = dial(engine, server.name, NamedPipe::CurrentUser);
    QCOMPARE(result.endpoint != nullptr, failure == u"none");
    QVERIFY(pipe && pipe != INVALID_HANDLE_VALUE);
    result.endpoint.reset();
    DWORD flags = 0;
    QVERIFY2(!::GetHandleInformation(pipe, &flags), "it is closed");

    // The other handles that are needed on the way. (Wine does not count them.)
    const int before = ProcessFacts::openHandles();
    for (int i = 0; i < 10; ++i) {
        const ForeignServer next;
        dial(engine, next.name, NamedPipe::CurrentUser);
    }
    QVERIFY(ProcessFacts::openHandles() < before + 10);
}

// --- The connected pipe ---

void tst_IocpConnector::endpointTalks()
{
    const RunningEngine engine(2);
    const auto door = std::make_shared<OpenDoor>();
    ListenSettings settings;
    settings.name = scratchName();
    QVERIFY(!engine->listen(settings, door));
    engine->startAccepting();

    const DialResult result = dial(engine, settings.name);
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
    const auto sink = std::make_shared<RecordingSink>();
    result.endpoint->attach(sink);
    result.endpoint->watch();
    const auto server = door->client();
    QVERIFY(server);
    const QByteArray large(300000, 'x');
    const QList<OutgoingMessage> out { { "to the server", {}, false }, { large, {}, false } };
    const QList<OutgoingMessage> back { { "to the client", {}, false }, { large, {}, false } };
    QCOMPARE(result.endpoint->startWrite(out.constData(), 2).status, WriteProgress::Pending);
    QCOMPARE(server->startWrite(back.constData(), 2).status, WriteProgress::Pending);
    for (int i = 1; i <= 2; ++i) {
        server->startRead(1);
        result.endpoint->startRead(1);
        QVERIFY(waitWithoutEvents([&] { return door->sink->messages().size() == i; }));
        QVERIFY(waitWithoutEvents([&] { return sink->messages().size() == i; }));
    }
    QCOMPARE(door->sink->messages(), (QByteArrayList { "to the server", large }));
    QCOMPARE(sink->messages(), (QByteArrayList { "to the client", large }));
    result.endpoint->cancel();
    result.endpoint->close();
    QVERIFY(waitWithoutEvents([&] { return door->sink->hangUps() == 1; }));
    server->cancel();
    server->close();
}

void tst_IocpConnector::endpointSeesTheServerGo()
{
    const RunningEngine engine;
    ForeignServer server;
    const DialResult result = dial(engine, server.name);
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
    const auto sink = std::make_shared<RecordingSink>();
    result.endpoint->attach(sink);
    result.endpoint->watch();
    watchFor();
    QCOMPARE(sink->reports(), 0);
    server.pipe.close();
    QVERIFY(waitWithoutEvents([&] { return sink->hangUps() == 1; }));
    result.endpoint->startRead(1);
    QVERIFY(waitWithoutEvents([&] { return !sink->ends().isEmpty(); }));
    QCOMPARE(sink->ends(), QList<ReadEnd> { ReadEnd::PeerClosed });
    result.endpoint->close();
}

// Sent before the client could say how it reads.
void tst_IocpConnector::earlyMessagesKeepTheirBoundaries()
{
    ConnectorApi api;
    const RunningEngine engine;
    const ForeignServer server;
    api.opens << [&](const OpenCall &call) {
        const HANDLE pipe = call.pass();
        for (const char *message : { "one", "three" }) {
            DWORD count = 0;
            ::WriteFile(server.pipe.get(), message, DWORD(qstrlen(message)), &count, nullptr);
        }
        return pipe;
    };
    const DialResult result = dial(engine, server.name);
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
    const auto sink = std::make_shared<RecordingSink>();
    result.endpoint->attach(sink);
    for (int i = 1; i <= 2; ++i) {
        result.endpoint->startRead(1);
        QVERIFY(waitWithoutEvents([&] { return sink->messages().size() == i; }));
    }
    QCOMPARE(sink->messages(), (QByteArrayList { "one", "three" }));
    result.endpoint->close();
}

// --- Names ---

void tst_IocpConnector::namesAreListed()
{
    ConnectorApi api;
    const QStringList names { u"one"_s, u"Winsock2\\Catalog-1"_s, u"two words"_s,
                              u"\u00e4\u4e2d"_s };
    const HANDLE search = reinterpret_cast<HANDLE>(qintptr(0x1234));
    const auto put = [](const QString &name, WIN32_FIND_DATAW *found) {
        *found = {};
        name.toWCharArray(found->cFileName);
    };
    QString pattern;
    api.firsts << [&](const std::wstring &asked, WIN32_FIND_DATAW *found) {
        pattern = QString::fromStdWString(asked);
        put(names.at(0), found);
        return search;
    };
    QList<HANDLE> searches;
    qsizetype next = 1;
    api.nexts.always([&](HANDLE of, WIN32_FIND_DATAW *found) {
        searches.append(of);
        if (next == names.size())
            return ScriptedApi::fail(ERROR_NO_MORE_FILES);
        put(names.at(next++), found);
        return TRUE;
    });
    api.ends.always([&](HANDLE of) {
        searches.append(of);
        return TRUE;
    });
    QCOMPARE(platformPipeNames(), names);
    QCOMPARE(pattern, u"\\\\.\\pipe\\*"_s);
    QCOMPARE(searches, QList<HANDLE>(names.size() + 1, search));
    QCOMPARE(api.ends.calls(), 1);
}

void tst_IocpConnector::namesThatCannotBeListed_data()
{
    QTest::addColumn<quint32>("code");
    QTest::newRow("as Wine says it") << quint32(ERROR_BAD_DEV_TYPE);
    QTest::newRow("denied") << quint32(ERROR_ACCESS_DENIED);
}

void tst_IocpConnector::namesThatCannotBeListed()
{
    QFETCH(quint32, code);
    ConnectorApi api;
    api.firsts << [&](const std::wstring &, WIN32_FIND_DATAW *) {
        return ConnectorApi::failToOpen(code);
    };
    QLoggingCategory::setFilterRules(u"qtnamedpipes.*.debug=true"_s);
    QTest::ignoreMessage(QtDebugMsg,
                         QRegularExpression(u"cannot list.*\\(FindFirstFile: %1\\)$"_s.arg(code)));
    const QStringList names = platformPipeNames();
    QLoggingCategory::setFilterRules({});
    QCOMPARE(names, QStringList());
    QCOMPARE(api.nexts.calls() + api.ends.calls(), 0);
}

void tst_IocpConnector::brokenListKeepsWhatCame()
{
    ConnectorApi api;
    api.firsts << [](const std::wstring &, WIN32_FIND_DATAW *found) {
        *found = {};
        found->cFileName[0] = L'a';
        return reinterpret_cast<HANDLE>(qintptr(0x1234));
    };
    api.nexts << [](HANDLE, WIN32_FIND_DATAW *) { return ScriptedApi::fail(ERROR_GEN_FAILURE); };
    api.ends << [](HANDLE) { return TRUE; };
    QLoggingCategory::setFilterRules(u"qtnamedpipes.*.debug=true"_s);
    QTest::ignoreMessage(QtDebugMsg, QRegularExpression(u"cannot list.*\\(FindNextFile: 31\\)$"_s));
    const QStringList names = platformPipeNames();
    QLoggingCategory::setFilterRules({});
    QCOMPARE(names, QStringList { u"a"_s });
    QCOMPARE(api.ends.calls(), 1);
}

void tst_IocpConnector::realPipesAreListed()
{
    const ForeignServer server;
    QVERIFY(server.pipe);
    const QStringList names = platformPipeNames();
    if (const auto can = PlatformFlags::pipesCanBeListed(); !can) {
        QCOMPARE(names, QStringList());
        SKIP_BECAUSE(can.reason);
    }
    QCOMPARE(names.count(server.name), 1);
}

void tst_IocpConnector::namesIgnoreCase()
{
    QCOMPARE(platformNameCase(), Qt::CaseInsensitive);
    const RunningEngine engine;
    const ForeignServer server;
    const QString other = server.name.toUpper();
    QVERIFY(other != server.name);
    const DialResult result = dial(engine, other);
    QVERIFY2(result.endpoint, qPrintable(result.error.text()));
}

QTEST_GUILESS_MAIN(tst_IocpConnector)

#include "tst_iocp_connector.moc"
