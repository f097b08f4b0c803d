#!/usr/bin/env node
// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

'use strict';

// Sends messages to an echo server and checks its answers; see ../README.md.

const { randomBytes } = require('node:crypto');
const { parseArgs } = require('node:util');
const { connect, PipeError, ON_WINDOWS } = require('./namedpipe.js');

const USAGE = `usage: echo.js [--pipe NAME] [--count N] [--size BYTES] [--timeout SECONDS] [--wait] [message...]
       echo.js [--pipe NAME] [--timeout SECONDS] [--wait] --listen N

Sends messages to an echo server and checks its answers. The exit code is 0 if all were right, else 1.

  --pipe NAME        name of the pipe (default: echo)
  --count N          send so many messages (default: 1)
  --size BYTES       of so many bytes (default: 256)
  --listen N         send nothing; wait for N messages and print them
  --timeout SECONDS  for connecting, and for each answer (default: 5)
  --wait             wait for a server that does not run yet
  message            text to send instead of --size bytes, each --count times`;

// So much may be sent and not yet answered: many small messages, or one large one.
const WINDOW = 1024 * 1024;

class WrongAnswer extends Error {}

function usageError(text) {
    console.error(`echo.js: ${text}\n\n${USAGE}`);
    process.exit(2);
}

function numberOf(text, option) {
    const number = Number(text);
    if (text === '' || !(number >= 0)) usageError(`--${option} needs a number, not '${text}'`);
    return number;
}

function parseArguments() {
    let parsed;
    try {
        parsed = parseArgs({
            allowPositionals: true,
            options: {
                pipe: { type: 'string', default: 'echo' },
                count: { type: 'string', default: '1' },
                size: { type: 'string', default: '256' },
                listen: { type: 'string' },
                timeout: { type: 'string', default: '5' },
                wait: { type: 'boolean', default: false },
                help: { type: 'boolean', short: 'h', default: false },
            },
        });
    } catch (error) {
        usageError(error.message);
    }
    const { values, positionals } = parsed;
    if (values.help) {
        console.log(USAGE);
        process.exit(0);
    }
    return {
        pipe: values.pipe,
        count: numberOf(values.count, 'count'),
        size: numberOf(values.size, 'size'),
        listen: values.listen === undefined ? undefined : numberOf(values.listen, 'listen'),
        milliseconds: 1000 * numberOf(values.timeout, 'timeout'),
        wait: values.wait,
        messages: positionals.map((text) => Buffer.from(text)),
    };
}

function* messagesToSend(options) {
    for (let number = 0; number < options.count; ++number) {
        if (options.messages.length > 0) yield* options.messages;
        else yield randomBytes(options.size);
    }
}

async function echo(pipe, options) {
    const unanswered = [];
    let [pending, sent, answered, size] = [0, 0, 0, 0];

    async function takeAnswer() {
        const expected = unanswered.shift();
        ++answered;
        // On Windows the boundary is not seen; the server is an echo, so the size is known.
        const answer = ON_WINDOWS
            ? await pipe.receiveBytes(expected.length, options.milliseconds)
            : await pipe.receive(options.milliseconds);
        if (answer === null) throw new WrongAnswer(`the server closed before answer ${answered}`);
        if (!answer.equals(expected)) {
            throw new WrongAnswer(`answer ${answered} is wrong:` +
                                  ` ${answer.length} bytes, ${expected.length} were sent`);
        }
        pending -= expected.length;
    }

    const began = process.hrtime.bigint();
    for (const message of messagesToSend(options)) {
        while (unanswered.length > 0 && pending + message.length > WINDOW) await takeAnswer();
        await pipe.send(message);
        ++sent;
        size += message.length;
        if (message.length > 0) { // an empty message arrives, but asyncWrite() sends none back
            unanswered.push(message);
            pending += message.length;
        }
    }
    while (unanswered.length > 0) await takeAnswer();
    const seconds = Number(process.hrtime.bigint() - began) / 1e9;
    console.log(`${sent} messages sent, ${answered} answers right, ${size} bytes each way, ` +
                `${seconds.toFixed(3)} s`);
}

async function listen(pipe, options) {
    for (let number = 1; number <= options.listen; ++number) {
        const message = await pipe.receive(options.milliseconds);
        if (message === null) throw new WrongAnswer(`the server closed before message ${number}`);
        console.log(`${message.length}: ${message}`);
    }
}

async function main() {
    const options = parseArguments();
    try {
        const pipe = await connect(options.pipe,
                                   { timeout: options.milliseconds, waitForServer: options.wait });
        try {
            if (options.listen === undefined) await echo(pipe, options);
            else await listen(pipe, options);
        } finally {
            pipe.close();
        }
    } catch (error) {
        if (!(error instanceof PipeError || error instanceof WrongAnswer)) throw error;
        console.error(`echo.js: ${error.message}`);
        process.exitCode = 1;
    }
}

main();
