// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#include "sendbox.h"
#include "texts.h"

#include <QtTest/qsignalspy.h>
#include <QtTest/qtest.h>
#include <QtWidgets/qapplication.h>
#include <QtWidgets/qcombobox.h>
#include <QtWidgets/qlabel.h>
#include <QtWidgets/qlineedit.h>
#include <QtWidgets/qplaintextedit.h>
#include <QtWidgets/qpushbutton.h>
#include <QtWidgets/qradiobutton.h>

using namespace Qt::StringLiterals;

/// The field of the pipe monitor in which messages are written.
class tst_MonitorSendBox : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void textIsSent_data();
    void textIsSent();
    void hexIsSent_data();
    void hexIsSent();
    void hexMistakesAreExplained_data();
    void hexMistakesAreExplained();
    void nothingIsNotSent();
    void sizeIsShown();
    void cookieIsOptional();
    void targetIsChosen();
    void countsAreShown();
    void noTargetSaysWhy_data();
    void noTargetSaysWhy();
    void shortcutSendsFromEveryField_data();
    void shortcutSendsFromEveryField();
    void shortcutRespectsMistakes();
    void historyIsWalked();
    void historyKnowsHex();
    void draftIsKept();
    void historyIsBounded();
    void historyHasNoDoubles();
    void historyOfOtherFormatIsText();
    void sentMessagesAreCounted();
    void newMessageIsCountedAnew();
    void refusalIsShown();
    void refusalInTheSlotIsShown();
    void focusComesToTheMessage();
    void boxIsAccessible();
};

namespace {

struct Box
{
    Box()
    {
        box.setCounts(2, 3);
        box.show();
        box.activateWindow();
        isShown = QTest::qWaitForWindowActive(&box);
        message().setFocus();
    }

    QComboBox &target() { return *box.findChild<QComboBox *>(u"target"_s); }
    QPlainTextEdit &message() { return *box.findChild<QPlainTextEdit *>(u"message"_s); }
    QLineEdit &cookie() { return *box.findChild<QLineEdit *>(u"cookie"_s); }
    QPushButton &button() { return *box.findChild<QPushButton *>(u"send"_s); }
    QRadioButton &asText() { return *box.findChild<QRadioButton *>(u"asText"_s); }
    QRadioButton &asHex() { return *box.findChild<QRadioButton *>(u"asHex"_s); }
    QString hint() { return box.findChild<QLabel *>(u"hint"_s)->text(); }
    QString result() { return box.findChild<QLabel *>(u"result"_s)->text(); }
    QColor colorOf(const QString &label)
    {
        return box.findChild<QLabel *>(label)->palette().color(QPalette::WindowText);
    }
    QString text() { return message().toPlainText(); }
    void click() { QTest::mouseClick(&button(), Qt::LeftButton); }
    void send(const QString &text)
    {
        message().setPlainText(text);
        click();
    }
    void up() { QTest::keyClick(&message(), Qt::Key_Up, Qt::ControlModifier); }
    void down() { QTest::keyClick(&message(), Qt::Key_Down, Qt::ControlModifier); }

    SendBox box;
    QSignalSpy sent { &box, &SendBox::sendRequested };
    bool isShown = false;
};

} // namespace

void tst_MonitorSendBox::textIsSent_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<QByteArray>("expected");
    QTest::newRow("ASCII") << u"hello"_s << "hello"_ba;
    QTest::newRow("UTF-8") << u"grüße 😀"_s
                           << QByteArray("gr\xc3\xbc\xc3\x9f"
                                         "e \xf0\x9f\x98\x80");
    QTest::newRow("lines") << u"a\nb\n"_s << "a\nb\n"_ba;
    QTest::newRow("spaces") << u"  a "_s << "  a "_ba;
    QTest::newRow("digits") << u"de ad"_s << "de ad"_ba;
}

void tst_MonitorSendBox::textIsSent()
{
    QFETCH(QString, text);
    Box shown;
    shown.message().setPlainText(text);
    shown.click();
    QCOMPARE(shown.sent.size(), 1);
    QTEST(shown.sent[0][0].toByteArray(), "expected");
    QCOMPARE(shown.text(), text); // to be sent again, or changed
}

void tst_MonitorSendBox::hexIsSent_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<QByteArray>("expected");
    QTest::newRow("bytes") << u"00 FF 0x10"_s << QByteArray("\0\xff\x10", 3);
    QTest::newRow("lines") << u"0001\n02"_s << QByteArray("\0\1\2", 3);
}

void tst_MonitorSendBox::hexIsSent()
{
    QFETCH(QString, text);
    Box shown;
    QTest::mouseClick(&shown.asHex(), Qt::LeftButton);
    shown.message().setPlainText(text);
    shown.click();
    QCOMPARE(shown.sent.size(), 1);
    QTEST(shown.sent[0][0].toByteArray(), "expected");
}

void tst_MonitorSendBox::hexMistakesAreExplained_data()
{
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("hint");
    QTest::newRow("odd") << u"de ad be e"_s << u"A byte has two digits: one is missing in “e”."_s;
    QTest::newRow("long") << u"0123456789abcdef0"_s
                          << u"A byte has two digits: one is missing in “…6789abcdef0”."_s;
    QTest::newRow("no digit") << u"de ag"_s << u"“g” is not a hexadecimal digit."_s;
    QTest::newRow("umlaut") << u"ä"_s << u"“ä” is not a hexadecimal digit."_s;
    QTest::newRow("comma") << u"de,ad"_s << u"“,” is not a hexadecimal digit."_s;
    QTest::newRow("0x") << u"de 0x"_s << u"There are no digits after “0x”."_s;
}

void tst_MonitorSendBox::hexMistakesAreExplained()
{
    QFETCH(QString, text);
    Box shown;
    shown.message().setPlainText(text);
    QVERIFY(shown.button().isEnabled()); // as text it is fine
    const QColor quiet = shown.colorOf(u"hint"_s);
    shown.asHex().setChecked(true);
    QTEST(shown.hint(), "hint");
    QCOMPARE(shown.button().toolTip(), shown.hint());
    QVERIFY(!shown.button().isEnabled());
    QVERIFY(shown.colorOf(u"hint"_s) != quiet);
    shown.box.send();
    QCOMPARE(shown.sent.size(), 0);
    QVERIFY(!QApplication::activeModalWidget());

    shown.message().setPlainText(u"de ad"_s);
    QVERIFY(shown.button().isEnabled());
    QCOMPARE(shown.hint(), u"2 B"_s);
    QCOMPARE(shown.colorOf(u"hint"_s), quiet);
}

void tst_MonitorSendBox::nothingIsNotSent()
{
    Box shown;
    QVERIFY(!shown.button().isEnabled());
    QCOMPARE(shown.button().toolTip(), shown.hint());
    shown.box.send();
    QCOMPARE(shown.sent.size(), 0);
    QTest::keyClick(&shown.message(), 'a');
    QVERIFY(shown.button().isEnabled());
    shown.box.send();
    QCOMPARE(shown.sent.size(), 1);
}

void tst_MonitorSendBox::sizeIsShown()
{
    Box shown;
    QCOMPARE(shown.hint(), u"Nothing to send yet."_s);
    QTest::keyClicks(&shown.message(), u"abc"_s);
    QCOMPARE(shown.hint(), u"3 B"_s);
    shown.message().setPlainText(u"ü"_s);
    QCOMPARE(shown.hint(), u"2 B"_s);
    shown.message().setPlainText(QString(2048, u'x'));
    QCOMPARE(shown.hint(), formatBytes(2048));
}

void tst_MonitorSendBox::cookieIsOptional()
{
    Box shown;
    shown.send(u"hello"_s);
    QVERIFY(!shown.sent[0][1].value<QVariant>().isValid());
    shown.cookie().setText(u"017"_s);
    shown.send(u"hello"_s);
    QCOMPARE(shown.sent[1][1].value<QVariant>(), QVariant(u"017"_s)); // as it was typed
}

void tst_MonitorSendBox::targetIsChosen()
{
    Box shown;
    shown.send(u"hello"_s);
    QCOMPARE(shown.sent[0][2].toBool(), false);
    shown.target().setCurrentIndex(1);
    shown.send(u"hello"_s);
    QCOMPARE(shown.sent[1][2].toBool(), true);
}

void tst_MonitorSendBox::countsAreShown()
{
    Box shown;
    shown.target().setCurrentIndex(1);
    shown.box.setCounts(7, 1200);
    QCOMPARE(shown.target().itemText(0), u"Selected clients (7)"_s);
    QCOMPARE(shown.target().itemText(1), u"Everyone (1 200)"_s);
    QCOMPARE(shown.target().currentIndex(), 1);
}

void tst_MonitorSendBox::noTargetSaysWhy_data()
{
    QTest::addColumn<int>("selected");
    QTest::addColumn<int>("everyone");
    QTest::addColumn<int>("target");
    QTest::addColumn<QString>("reason");
    QTest::newRow("nobody, selected") << 0 << 0 << 0 << u"No client is connected."_s;
    QTest::newRow("nobody, everyone") << 0 << 0 << 1 << u"No client is connected."_s;
    QTest::newRow("none selected") << 0 << 5 << 0 << u"No client is selected in the list."_s;
    QTest::newRow("none selected, everyone") << 0 << 5 << 1 << u""_s;
    QTest::newRow("selected") << 1 << 5 << 0 << u""_s;
}

void tst_MonitorSendBox::noTargetSaysWhy()
{
    QFETCH(int, selected);
    QFETCH(int, everyone);
    QFETCH(int, target);
    QFETCH(QString, reason);
    Box shown;
    shown.message().setPlainText(u"abc"_s);
    shown.box.setCounts(selected, everyone);
    shown.target().setCurrentIndex(target);
    QCOMPARE(shown.button().isEnabled(), reason.isEmpty());
    QCOMPARE(shown.hint(), reason.isEmpty() ? u"3 B"_s : reason);
    if (!reason.isEmpty())
        QCOMPARE(shown.button().toolTip(), reason);
    shown.box.send();
    QCOMPARE(shown.sent.size(), reason.isEmpty() ? 1 : 0);
    QVERIFY(shown.message().isEnabled());
    shown.box.setCounts(2, 3);
    QVERIFY(shown.button().isEnabled());
}

void tst_MonitorSendBox::shortcutSendsFromEveryField_data()
{
    QTest::addColumn<QString>("field");
    QTest::addColumn<int>("key");
    for (const char *field : { "message", "cookie", "target", "asText", "send" }) {
        QTest::addRow("Return, %s", field) << QString::fromLatin1(field) << int(Qt::Key_Return);
        QTest::addRow("Enter, %s", field) << QString::fromLatin1(field) << int(Qt::Key_Enter);
    }
}

void tst_MonitorSendBox::shortcutSendsFromEveryField()
{
    QFETCH(QString, field);
    QFETCH(int, key);
    Box shown;
    QVERIFY(shown.isShown);
    shown.message().setPlainText(u"hello"_s);
    auto *widget = shown.box.findChild<QWidget *>(field);
    widget->setFocus();
    QTest::keyClick(widget, Qt::Key(key), Qt::ControlModifier);
    QCOMPARE(shown.sent.size(), 1);
    QCOMPARE(shown.sent[0][0].toByteArray(), "hello"_ba);
    QCOMPARE(shown.text(), u"hello"_s);
}

void tst_MonitorSendBox::shortcutRespectsMistakes()
{
    Box shown;
    QVERIFY(shown.isShown);
    shown.asHex().setChecked(true);
    shown.message().setPlainText(u"de a"_s);
    QTest::keyClick(&shown.message(), Qt::Key_Return, Qt::ControlModifier);
    QCOMPARE(shown.sent.size(), 0);
    QCOMPARE(shown.text(), u"de a"_s);
    QTest::keyClick(&shown.message(), Qt::Key_Return); // a line
    QCOMPARE(shown.sent.size(), 0);
    QVERIFY(shown.text().contains(u'\n'));
}

void tst_MonitorSendBox::historyIsWalked()
{
    Box shown;
    for (const QString &text : { u"one"_s, u"two"_s, u"three"_s })
        shown.send(text);
    QCOMPARE(shown.box.history(), QStringList({ u"text:one"_s, u"text:two"_s, u"text:three"_s }));
    shown.up(); // "three" is still there
    QCOMPARE(shown.text(), u"two"_s);
    shown.up();
    QCOMPARE(shown.text(), u"one"_s);
    shown.up(); // there is no more
    QCOMPARE(shown.text(), u"one"_s);
    shown.down();
    shown.down();
    QCOMPARE(shown.text(), u"three"_s);
    QVERIFY(shown.message().textCursor().atEnd());
    // Without Ctrl the keys move the cursor.
    QTest::keyClick(&shown.message(), Qt::Key_Up);
    QCOMPARE(shown.text(), u"three"_s);
    // A new box with the same history goes on.
    Box other;
    other.box.setHistory(shown.box.history());
    other.up();
    QCOMPARE(other.text(), u"three"_s);
    other.click();
    QCOMPARE(other.sent[0][0].toByteArray(), "three"_ba);
}

void tst_MonitorSendBox::historyKnowsHex()
{
    Box shown;
    shown.asHex().setChecked(true);
    shown.send(u"de ad"_s);
    shown.asText().setChecked(true);
    shown.send(u"hex:text"_s);
    QCOMPARE(shown.box.history(), QStringList({ u"hex:de ad"_s, u"text:hex:text"_s }));
    shown.up();
    QVERIFY(shown.asHex().isChecked());
    QCOMPARE(shown.text(), u"de ad"_s);
    shown.down();
    QVERIFY(shown.asText().isChecked());
    QCOMPARE(shown.text(), u"hex:text"_s);
}

void tst_MonitorSendBox::draftIsKept()
{
    Box shown;
    shown.send(u"one"_s);
    shown.send(u"two"_s);
    shown.message().setPlainText(u"draft"_s);
    shown.up();
    QCOMPARE(shown.text(), u"two"_s);
    shown.up();
    QCOMPARE(shown.text(), u"one"_s);
    shown.down();
    shown.down();
    QCOMPARE(shown.text(), u"draft"_s);
    shown.down();
    QCOMPARE(shown.text(), u"draft"_s);
    // An entry that was changed is a draft, and the history keeps what was sent.
    shown.up();
    QTest::keyClicks(&shown.message(), u"!"_s);
    shown.up();
    QCOMPARE(shown.text(), u"two"_s);
    shown.down();
    QCOMPARE(shown.text(), u"two!"_s);
    // Nothing was sent before.
    Box other;
    other.message().setPlainText(u"draft"_s);
    other.up();
    other.down();
    QCOMPARE(other.text(), u"draft"_s);
}

void tst_MonitorSendBox::historyIsBounded()
{
    Box shown;
    for (int i = 0; i < 60; ++i)
        shown.send(QString::number(i));
    QCOMPARE(shown.box.history().size(), 50);
    QCOMPARE(shown.box.history().constFirst(), u"text:10"_s);
    QCOMPARE(shown.box.history().constLast(), u"text:59"_s);
    for (int i = 0; i < 100; ++i)
        shown.up();
    QCOMPARE(shown.text(), u"10"_s);

    QStringList tooMuch;
    for (int i = 0; i < 70; ++i)
        tooMuch += u"text:%1"_s.arg(i);
    shown.box.setHistory(tooMuch);
    QCOMPARE(shown.box.history(), tooMuch.mid(20));
}

void tst_MonitorSendBox::historyHasNoDoubles()
{
    Box shown;
    for (const QString &text : { u"one"_s, u"two"_s, u"one"_s, u"one"_s, u""_s })
        shown.send(text);
    QCOMPARE(shown.box.history(), QStringList({ u"text:two"_s, u"text:one"_s }));
}

void tst_MonitorSendBox::historyOfOtherFormatIsText()
{
    Box shown;
    shown.asHex().setChecked(true);
    shown.box.setHistory({ u"hello"_s });
    QCOMPARE(shown.box.history(), QStringList(u"text:hello"_s));
    shown.up();
    QCOMPARE(shown.text(), u"hello"_s);
    QVERIFY(shown.asText().isChecked());
}

void tst_MonitorSendBox::sentMessagesAreCounted()
{
    Box shown;
    QCOMPARE(shown.result(), u""_s);
    shown.cookie().setText(u"17"_s);
    shown.send(u"hello"_s);
    QCOMPARE(shown.result(), u"queued: cookie 17 (2 clients)"_s);
    shown.box.showSent(u"17"_s);
    QCOMPARE(shown.result(), u"sent: cookie 17 (1 client)"_s);
    shown.box.showSent(u"17"_s);
    shown.box.showSent(u"17"_s);
    QCOMPARE(shown.result(), u"sent: cookie 17 (3 clients)"_s);
    shown.box.showSent(18);
    QCOMPARE(shown.result(), u"sent: cookie 18 (1 client)"_s);
    shown.box.showSent(QVariant());
    QCOMPARE(shown.result(), u"sent (1 client)"_s);
    shown.box.showSent(QVariant());
    QCOMPARE(shown.result(), u"sent (2 clients)"_s);
}

void tst_MonitorSendBox::newMessageIsCountedAnew()
{
    Box shown;
    shown.cookie().setText(u"17"_s);
    shown.send(u"hello"_s);
    shown.box.showSent(u"17"_s);
    shown.box.showSent(u"17"_s);
    shown.target().setCurrentIndex(1);
    shown.send(u"hello"_s);
    QCOMPARE(shown.result(), u"queued: cookie 17 (3 clients)"_s);
    shown.box.showSent(u"17"_s);
    QCOMPARE(shown.result(), u"sent: cookie 17 (1 client)"_s);
    shown.cookie().clear();
    shown.send(u"hello"_s);
    QCOMPARE(shown.result(), u"queued (3 clients)"_s);
}

void tst_MonitorSendBox::refusalIsShown()
{
    Box shown;
    const QColor usual = shown.colorOf(u"result"_s);
    shown.box.showRefused(u"Not sent: <b>the queue</b> is full."_s);
    QCOMPARE(shown.result(), u"Not sent: <b>the queue</b> is full."_s);
    QCOMPARE(shown.box.findChild<QLabel *>(u"result"_s)->textFormat(), Qt::PlainText);
    QVERIFY(shown.colorOf(u"result"_s) != usual);
    // In another palette it is still an error, in a colour for that.
    const QColor error = shown.colorOf(u"result"_s);
    shown.box.setPalette(QPalette(QColor(40, 40, 40)));
    QVERIFY(shown.colorOf(u"result"_s) != error);
    shown.box.setPalette({});
    QCOMPARE(shown.colorOf(u"result"_s), error);
    shown.box.showSent(1);
    QCOMPARE(shown.colorOf(u"result"_s), usual);
}

void tst_MonitorSendBox::refusalInTheSlotIsShown()
{
    Box shown;
    connect(&shown.box, &SendBox::sendRequested, &shown.box,
            [&shown] { shown.box.showRefused(u"refused"_s); });
    shown.send(u"hello"_s);
    QCOMPARE(shown.result(), u"refused"_s);
}

void tst_MonitorSendBox::focusComesToTheMessage()
{
    Box shown;
    QVERIFY(shown.isShown);
    shown.cookie().setFocus();
    shown.box.focusMessage();
    QVERIFY(shown.message().hasFocus());
}

void tst_MonitorSendBox::boxIsAccessible()
{
    Box shown;
    QVERIFY(shown.isShown);
    shown.message().setPlainText(u"something"_s);
    shown.target().setFocus();
    QStringList names;
    for (int i = 0; i < 5; ++i) {
        QWidget *widget = QApplication::focusWidget();
        QVERIFY2(!widget->toolTip().isEmpty(), qPrintable(widget->objectName()));
        names += widget->objectName();
        QTest::keyClick(widget, Qt::Key_Tab);
    }
    QCOMPARE(names,
             QStringList({ u"target"_s, u"asText"_s, u"message"_s, u"cookie"_s, u"send"_s }));
    for (const QString &name : { u"target"_s, u"message"_s, u"cookie"_s, u"hint"_s, u"result"_s })
        QVERIFY2(!shown.box.findChild<QWidget *>(name)->accessibleName().isEmpty(),
                 qPrintable(name));
}

QTEST_MAIN(tst_MonitorSendBox)
#include "tst_monitor_sendbox.moc"
