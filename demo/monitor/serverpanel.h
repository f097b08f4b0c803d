// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

#ifndef SERVERPANEL_H
#define SERVERPANEL_H

#include <QtWidgets/qwidget.h>

#include <functional>
#include <vector>

class NamedPipeServer;
class QCheckBox;
class QComboBox;
class QFormLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QSettings;
class QSpinBox;
class QToolButton;

/// Every property of a server, to be set while it is stopped; starts and stops it.
class ServerPanel : public QWidget
{
    Q_OBJECT

public:
    explicit ServerPanel(NamedPipeServer &server, QWidget *parent = nullptr);

    void setPipeName(const QString &name);
    void setFreeThreaded(bool on);
    /// Whether what clients send is to be sent back.
    bool echoes() const;
    void setEchoes(bool on);

    void save(QSettings &settings) const;
    void restore(const QSettings &settings);

    QPushButton *startButton() const { return m_start; }
    QString errorText() const;

public Q_SLOTS:
    void startOrStop();
    /// Says in words, where it happened, what went wrong.
    void showError(const QString &text);
    void resetToDefaults();

Q_SIGNALS:
    void echoChanged(bool on);
    /// The server is about to read its properties.
    void aboutToStart();

private:
    /// One property: its editor, and how it goes to the server and back.
    struct Field
    {
        QString name;
        QWidget *editor;
        std::function<QVariant()> value;
        std::function<void(const QVariant &)> setValue;
        std::function<void()> apply; ///< to the server
        QVariant defaultValue;
    };

    QSpinBox *addNumber(QFormLayout *form, const QString &name, const QString &label,
                        const QString &tip, int minimum, int maximum, int value,
                        const std::function<void(int)> &apply);
    QCheckBox *addSwitch(QFormLayout *form, const QString &name, const QString &label,
                         const QString &tip, bool value, const std::function<void(bool)> &apply);
    void addNameField(QFormLayout *form);
    void addAccess(QFormLayout *form);
    void showState();

    NamedPipeServer &m_server;
    std::vector<Field> m_fields;
    QLineEdit *m_name = nullptr;
    QPushButton *m_start = nullptr;
    QLabel *m_state = nullptr;
    QLineEdit *m_fullName = nullptr;
    QToolButton *m_copy = nullptr;
    QLabel *m_error = nullptr;
    QCheckBox *m_echo = nullptr;
    QCheckBox *m_freeThreaded = nullptr;
    QPushButton *m_reset = nullptr;
};

#endif // SERVERPANEL_H
