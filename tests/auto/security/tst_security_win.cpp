// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "platformflags.h"
#include "processfacts.h"
#include "skipping.h"
#include "testclient.h"
#include "testserver.h"

#include <QtCore/qmap.h>
#include <QtCore/qregularexpression.h>
#include <QtCore/qt_windows.h>
#include <QtTest/QtTest>

#include <array>

#include <aclapi.h>
#include <sddl.h>

using namespace Qt::StringLiterals;

/// The access list that the pipe really has, and what child processes get.
class tst_SecurityWin : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void descriptorAsText_data();
    void descriptorAsText();
    void accessListFollowsTheAccessOptions_data();
    void accessListFollowsTheAccessOptions();
    void onlyTheOwnerMayCreateInstances_data();
    void onlyTheOwnerMayCreateInstances();
    void userOwnsThePipe();
    void ownSecurityDescriptorWins();
    void whoIsNotOnTheAccessListStaysOutside();
    void badSecurityDescriptorIsRefused_data();
    void badSecurityDescriptorIsRefused();
    void handlesAreNotInheritable();

private:
    static constexpr DWORD createInstance = 0x4; // FILE_CREATE_PIPE_INSTANCE

    static QString textOf(PSID sid)
    {
        LPWSTR text = nullptr;
        if (!ConvertSidToStringSidW(sid, &text))
            return {};
        const QString result = QString::fromWCharArray(text);
        LocalFree(text);
        return result;
    }

    // The pipe's real descriptor, as the system has it.
    static QString sddlOf(qintptr handle)
    {
        constexpr SECURITY_INFORMATION what =
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
        PSECURITY_DESCRIPTOR descriptor = nullptr;
        if (GetSecurityInfo(reinterpret_cast<HANDLE>(handle), SE_KERNEL_OBJECT, what, nullptr,
                            nullptr, nullptr, nullptr, &descriptor)
            != ERROR_SUCCESS)
            return {};
        LPWSTR text = nullptr;
        ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, SDDL_REVISION_1, what,
                                                             &text, nullptr);
        const QString result = QString::fromWCharArray(text);
        LocalFree(text);
        LocalFree(descriptor);
        return result;
    }

    // A right or a SID of an SDDL string in its plainest form: some have short names.
    static DWORD rightsOf(const QString &text)
    {
        return text == u"FA" ? FILE_ALL_ACCESS : text.toUInt(nullptr, 16);
    }
    static QString sidOf(const QString &text)
    {
        PSID sid = nullptr;
        if (!ConvertStringSidToSidW(reinterpret_cast<LPCWSTR>(text.utf16()), &sid))
            return {};
        const QString result = textOf(sid);
        LocalFree(sid);
        return result;
    }
    static QString primaryGroup()
    {
        HANDLE token = nullptr;
        DWORD size = 0;
        alignas(TOKEN_PRIMARY_GROUP) std::array<char, 256> buffer;
        if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
            return {};
        const BOOL ok = GetTokenInformation(token, TokenPrimaryGroup, buffer.data(),
                                            DWORD(buffer.size()), &size);
        CloseHandle(token);
        return ok ? textOf(reinterpret_cast<TOKEN_PRIMARY_GROUP *>(buffer.data())->PrimaryGroup)
                  : QString();
    }

    // What each SID is allowed, after the generic rights were mapped.
    static QMap<QString, DWORD> allowed(qintptr handle)
    {
        QMap<QString, DWORD> result;
        PACL list = nullptr;
        PSECURITY_DESCRIPTOR descriptor = nullptr;
        if (GetSecurityInfo(reinterpret_cast<HANDLE>(handle), SE_KERNEL_OBJECT,
                            DACL_SECURITY_INFORMATION, nullptr, nullptr, &list, nullptr,
                            &descriptor)
            != ERROR_SUCCESS)
            return result;
        if (!list)
            result.insert(u"no access list: everybody"_s, ~0u);
        for (DWORD index = 0; list && index < list->AceCount; ++index) {
            void *entry = nullptr;
            if (!GetAce(list, index, &entry))
                continue;
            const auto *ace = static_cast<ACCESS_ALLOWED_ACE *>(entry);
            if (ace->Header.AceType != ACCESS_ALLOWED_ACE_TYPE)
                continue;
            DWORD mask = ace->Mask;
            GENERIC_MAPPING mapping = { FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE,
                                        FILE_ALL_ACCESS };
            MapGenericMask(&mask, &mapping);
            result[textOf(const_cast<DWORD *>(&ace->SidStart))] |= mask;
        }
        LocalFree(descriptor);
        return result;
    }
};

void tst_SecurityWin::descriptorAsText_data()
{
    QTest::addColumn<int>("options");
    QTest::addColumn<bool>("group");
    QTest::addColumn<bool>("everybody");
    QTest::newRow("user") << 1 << false << false;
    QTest::newRow("group") << 2 << true << false;
    QTest::newRow("user, group") << 3 << true << false;
    QTest::newRow("other") << 4 << false << true;
    QTest::newRow("user, other") << 5 << false << true;
    QTest::newRow("group, other") << 6 << true << true;
    QTest::newRow("world") << 7 << true << true;
}

// Word for word: who is in it, with which rights, and nobody and nothing else. Clients on other
// machines are refused by PIPE_REJECT_REMOTE_CLIENTS (tst_iocp_listener), not by an entry.
void tst_SecurityWin::descriptorAsText()
{
    QFETCH(int, options);
    QFETCH(bool, group);
    QFETCH(bool, everybody);
    TestServer ts;
    ts.server.setAccessOptions(NamedPipe::AccessOptions(options));
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    const RawPeer peer = ts.connectPeer();
    QVERIFY(peer.isOpen());
    const QString sddl = sddlOf(ts.connection()->handle());

    constexpr DWORD clientRights = 0x0012019b;
    static_assert(!(clientRights & createInstance));
    const QString user = ProcessFacts::userId();
    QList<std::pair<QString, DWORD>> expected = {
        { user, FILE_ALL_ACCESS }, // each further instance is created with it
        { u"S-1-5-18"_s, FILE_ALL_ACCESS }, // SYSTEM
        { u"S-1-5-32-544"_s, FILE_ALL_ACCESS }, // administrators
    };
    if (group)
        expected.append({ primaryGroup(), clientRights });
    if (everybody)
        expected.append({ u"S-1-1-0"_s, clientRights });

    static const QRegularExpression whole(u"^O:([^:]+)D:P(?:A[IR])*((?:\\([^()]*\\))*)$"_s);
    const QRegularExpressionMatch match = whole.match(sddl);
    QVERIFY2(match.hasMatch(), qPrintable(sddl));
    QCOMPARE(sidOf(match.captured(1)), user);
    QList<std::pair<QString, DWORD>> found;
    for (const QString &entry : match.captured(2).split(u')', Qt::SkipEmptyParts)) {
        const QStringList fields = entry.mid(1).split(u';');
        QVERIFY2(fields.size() == 6, qPrintable(sddl));
        QVERIFY2(fields.at(0) == u"A" && fields.at(1).isEmpty() && fields.at(3).isEmpty()
                         && fields.at(4).isEmpty(),
                 qPrintable(sddl)); // allows, is not inherited, is for this object
        found.append({ sidOf(fields.at(5)), rightsOf(fields.at(2)) });
    }
    QVERIFY2(found == expected, qPrintable(sddl));
}

void tst_SecurityWin::accessListFollowsTheAccessOptions_data()
{
    QTest::addColumn<NamedPipe::AccessOptions>("options");
    QTest::addColumn<bool>("strangersAllowed");
    using NamedPipe::AccessOptions;
    QTest::newRow("user") << AccessOptions(NamedPipe::UserAccess) << false;
    QTest::newRow("user and group") << (NamedPipe::UserAccess | NamedPipe::GroupAccess) << true;
    QTest::newRow("world") << AccessOptions(NamedPipe::WorldAccess) << true;
}

void tst_SecurityWin::accessListFollowsTheAccessOptions()
{
    QFETCH(NamedPipe::AccessOptions, options);
    QFETCH(bool, strangersAllowed);
    TestServer ts;
    ts.server.setAccessOptions(options);
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer();
    const QMap<QString, DWORD> rights = allowed(ts.connection()->handle());
    const QString system = u"S-1-5-18"_s;
    const QString administrators = u"S-1-5-32-544"_s;
    const QString user = ProcessFacts::userId();
    for (const QString &sid : { system, administrators, user })
        QVERIFY2(rights.contains(sid), qPrintable(sid));
    QCOMPARE(rights.value(user) & FILE_ALL_ACCESS, DWORD(FILE_ALL_ACCESS)); // for further instances
    int strangers = 0;
    for (auto entry = rights.cbegin(); entry != rights.cend(); ++entry)
        strangers += entry.key() != system && entry.key() != administrators && entry.key() != user;
    QCOMPARE(strangers > 0, strangersAllowed);
}

void tst_SecurityWin::onlyTheOwnerMayCreateInstances_data()
{
    accessListFollowsTheAccessOptions_data();
}

void tst_SecurityWin::onlyTheOwnerMayCreateInstances()
{
    QFETCH(NamedPipe::AccessOptions, options);
    TestServer ts;
    ts.server.setAccessOptions(options);
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer();
    const QMap<QString, DWORD> rights = allowed(ts.connection()->handle());
    QVERIFY(!rights.isEmpty());
    for (auto entry = rights.cbegin(); entry != rights.cend(); ++entry) {
        const bool trusted = entry.key() == u"S-1-5-18"_s || entry.key() == u"S-1-5-32-544"_s
                || entry.key() == ProcessFacts::userId();
        if (trusted)
            continue;
        QVERIFY2(!(entry.value() & createInstance), qPrintable(entry.key()));
        QVERIFY2(!(entry.value() & (WRITE_DAC | WRITE_OWNER | DELETE)), qPrintable(entry.key()));
        QVERIFY2(entry.value() & FILE_READ_DATA && entry.value() & FILE_WRITE_DATA,
                 qPrintable(entry.key())); // but it can talk
    }
}

// Also when the server is elevated, where the administrators would own it by default.
void tst_SecurityWin::userOwnsThePipe()
{
    TestServer ts;
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer();
    PSID owner = nullptr;
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    QCOMPARE(GetSecurityInfo(reinterpret_cast<HANDLE>(ts.connection()->handle()), SE_KERNEL_OBJECT,
                             OWNER_SECURITY_INFORMATION, &owner, nullptr, nullptr, nullptr,
                             &descriptor),
             DWORD(ERROR_SUCCESS));
    const QString sid = textOf(owner);
    LocalFree(descriptor);
    QCOMPARE(sid, ProcessFacts::userId());
}

void tst_SecurityWin::ownSecurityDescriptorWins()
{
    TestServer ts;
    ts.server.setAccessOptions(NamedPipe::WorldAccess);
    ts.server.setSecurityDescriptor(u"D:P(A;;FA;;;SY)(A;;FA;;;%1)"_s.arg(ProcessFacts::userId()));
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    const RawPeer peer = ts.connectPeer();
    const QMap<QString, DWORD> rights = allowed(ts.connection()->handle());
    QStringList expected { u"S-1-5-18"_s, ProcessFacts::userId() };
    expected.removeDuplicates();
    expected.sort();
    QCOMPARE(rights.keys(), expected);
}

void tst_SecurityWin::whoIsNotOnTheAccessListStaysOutside()
{
    const QString system = u"S-1-5-18"_s;
    if (ProcessFacts::userId() == system)
        SKIP_BECAUSE("there is nobody whom the system does not let in");
    TestServer ts;
    ts.server.setListenBacklogSize(1); // further instances need a right that the user lacks here
    ts.server.setSecurityDescriptor(u"D:P(A;;FA;;;%1)"_s.arg(system));
    QVERIFY2(ts.start(), qPrintable(ts.server.errorString()));
    TestClient client;
    const auto connection = client.dial(ts.name());
    QVERIFY(waitUntil([&] { return client.recorder.count() > 0; }));
    if (connection->isConnected()) {
        const auto enforced = PlatformFlags::accessListIsEnforced();
        if (!enforced)
            QEXPECT_FAIL("", enforced.reason, Abort);
    }
    QCOMPARE(client.recorder.errors(), QList { NamedPipe::AccessDenied });
    QCOMPARE(connection->closeReason(), NamedPipe::Failed);
    RawPeer peer;
    QVERIFY(!peer.connectTo(ts.name()));
    QCOMPARE(peer.lastError(), long(ERROR_ACCESS_DENIED));
    watchFor(std::chrono::milliseconds(30));
    QCOMPARE(ts.recorder.count(ServerEvent::Connected), 0);
    QCOMPARE(ts.recorder.count(ServerEvent::ServerError), 0);
}

void tst_SecurityWin::badSecurityDescriptorIsRefused_data()
{
    QTest::addColumn<QString>("sddl");
    QTest::newRow("garbage") << u"not a descriptor"_s;
    QTest::newRow("unfinished") << u"D:(A;;GA"_s;
}

void tst_SecurityWin::badSecurityDescriptorIsRefused()
{
    QFETCH(QString, sddl);
    NamedPipeServer server(scratchName());
    server.setSecurityDescriptor(sddl);
    QVERIFY(!server.start()); // and never with another one instead
    QVERIFY(server.error() != NamedPipe::NoError);
    QVERIFY(!server.errorString().isEmpty());
}

void tst_SecurityWin::handlesAreNotInheritable()
{
    TestServer ts;
    QVERIFY(ts.start());
    const RawPeer peer = ts.connectPeer();
    DWORD flags = HANDLE_FLAG_INHERIT;
    QVERIFY(GetHandleInformation(reinterpret_cast<HANDLE>(ts.connection()->handle()), &flags));
    QVERIFY(!(flags & HANDLE_FLAG_INHERIT));
}

QTEST_GUILESS_MAIN(tst_SecurityWin)
#include "tst_security_win.moc"
