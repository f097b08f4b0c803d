// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef SENDBOX_H
#define SENDBOX_H

#include <QtCore/qvariant.h>
#include <QtWidgets/qwidget.h>

class QComboBox;
class QLabel;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QRadioButton;

/// Where a message is written by hand, and what became of it.
class SendBox : public QWidget
{
    Q_OBJECT

public:
    static constexpr int MaximumHistory = 50;

    explicit SendBox(QWidget *parent = nullptr);

    /// How many clients the two targets have.
    void setCounts(int selected, int everyone);

    /// Past messages, oldest first, each with "text:" or "hex:" before it. What has neither is
    /// text.
    QStringList history() const { return m_history; }
    void setHistory(const QStringList &history);

    /// One client has got the message with this cookie. Further calls for it are counted.
    void showSent(const QVariant &cookie);
    void showRefused(const QString &text);

public Q_SLOTS:
    void focusMessage();
    /// What the button does.
    void send();

Q_SIGNALS:
    /// \a cookie is the text of the field, or invalid when that is empty.
    void sendRequested(const QByteArray &data, const QVariant &cookie, bool everyone);

protected:
    bool eventFilter(QObject *watched, QEvent *event) override;
    void changeEvent(QEvent *event) override;

private:
    void makeFields();
    void layOut();
    bool isHex() const;
    QString noTargetReason() const;
    QString hexMistake() const;
    void check();
    void walkHistory(int step);
    void showHistoryEntry(const QString &entry);
    void showResult(const QString &text, bool isError);

    QComboBox *m_target;
    QRadioButton *m_asText;
    QRadioButton *m_asHex;
    QPlainTextEdit *m_message;
    QLabel *m_hint;
    QLineEdit *m_cookie;
    QPushButton *m_send;
    QLabel *m_result;

    int m_selected = 0;
    int m_everyone = 0;
    QStringList m_history;
    qsizetype m_place = 0; ///< in the history; its size: at the draft
    QString m_draft; ///< as in the history
    QVariant m_sentCookie;
    int m_sentTimes = 0;
    bool m_isRefused = false;
};

#endif // SENDBOX_H
