// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "fuzzing.h"
#include "stress.h"

#include <QtCore/qdir.h>
#include <QtTest/QtTest>

#include <random>

using namespace Qt::StringLiterals;

/// The inputs that are kept, and some by chance: the same ones in every run.
class FuzzReplay : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void initTestCase();
    void keptInputs_data();
    void keptInputs();
    void chosenInputs_data();
    void chosenInputs();

private:
    void run(const QByteArray &input);

    QList<QByteArray> m_corpus;
};

void FuzzReplay::initTestCase()
{
    const QDir folder(QStringLiteral(FUZZ_CORPUS));
    for (const QString &name : folder.entryList(QDir::Files, QDir::Name)) {
        QFile file(folder.filePath(name));
        QVERIFY2(file.open(QIODevice::ReadOnly), qPrintable(name));
        m_corpus.append(file.readAll());
    }
    QVERIFY2(!m_corpus.isEmpty(), qPrintable(folder.path()));
}

/// Runs the target; a finding is a failure that shows the input.
void FuzzReplay::run(const QByteArray &input)
{
    QString finding;
    try {
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(input.constData()),
                               size_t(input.size()));
    } catch (const Fuzzing::Finding &broken) {
        finding = QString::fromLatin1(broken.what());
    }
    if (!finding.isEmpty())
        QFAIL(qPrintable(finding + u", with the input "_s + QString::fromLatin1(input.toHex())));
}

void FuzzReplay::keptInputs_data()
{
    QTest::addColumn<int>("first");
    QTest::newRow("all of the corpus") << 0;
}

void FuzzReplay::keptInputs()
{
    for (const QByteArray &input : std::as_const(m_corpus)) {
        run(input);
        if (QTest::currentTestFailed())
            return;
    }
}

void FuzzReplay::chosenInputs_data()
{
    QTest::addColumn<bool>("fromCorpus");
    QTest::newRow("random bytes") << false;
    QTest::newRow("kept inputs with other bytes") << true;
}

void FuzzReplay::chosenInputs()
{
    QFETCH(bool, fromCorpus);
    std::mt19937 random(20261123); // its numbers are the same everywhere
    const auto below = [&random](size_t limit) { return qsizetype(random() % limit); };
    for (int count = scaled(2000, 100); count > 0; --count) {
        QByteArray input;
        if (fromCorpus) {
            input = m_corpus.at(below(size_t(m_corpus.size())));
            for (qsizetype change = below(8); change >= 0 && !input.isEmpty(); --change)
                input[below(size_t(input.size()))] = char(random());
        } else {
            input.resize(below(400));
            for (char &byte : input)
                byte = char(random());
        }
        run(input);
        if (QTest::currentTestFailed())
            return;
    }
}

QTEST_GUILESS_MAIN(FuzzReplay)
#include "replay.moc"
