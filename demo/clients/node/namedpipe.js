// SPDX-FileCopyrightText: 2026 QtNamedPipes contributors
// SPDX-License-Identifier: MIT

'use strict';

// A client for QtNamedPipes servers. Node.js 18 or newer, no packages.
//
//     const pipe = await connect('echo');
//     await pipe.send('hello');
//     const answer = await pipe.receive(); // a Buffer; null when the server has closed
//     pipe.close();
//
// On Windows Node.js reads pipes in byte mode only, so that the boundaries of messages from the
// server are lost: see receive() and receiveBytes().

const net = require('node:net');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const HEADER_SIZE = 4;
const NULL_ARRAY = 0xffffffff; // what QDataStream writes for a null QByteArray: an empty message
const LARGEST_MESSAGE = NULL_ARRAY - 1;
const LARGEST_WINDOWS_MESSAGE = 0x7fffffff;
const HIGH_WATER = 1024 * 1024; // nothing more is read while so much waits for receive()
const ON_WINDOWS = process.platform === 'win32';

/** Something went wrong. `code`: 'NoServer', 'ServerBusy', 'TimeOver', 'Truncated', 'TooLarge',
 * 'Unsupported', 'Closed' or that of the operating system. */
class PipeError extends Error {
    constructor(code, message) {
        super(message);
        this.name = 'PipeError';
        this.code = code;
    }
}

function pathOf(name) {
    if (!name) throw new PipeError('Name', 'the pipe name is empty');
    if (/[/\\\0]/.test(name)) {
        throw new PipeError('Name', 'a pipe name cannot contain / or \\: pass the last part only');
    }
    if (ON_WINDOWS) return '\\\\.\\pipe\\' + name;
    const file = path.join(process.env.TMPDIR || '/tmp', name);
    if (Buffer.byteLength(file) > 107) {
        throw new PipeError('Name', `the pipe name is too long: ${file}`);
    }
    return file;
}

/** Bytes that have arrived, taken out by number. What is not taken is not copied twice. */
class ByteQueue {
    #chunks = [];
    length = 0;

    add(chunk) {
        this.#chunks.push(chunk);
        this.length += chunk.length;
    }

    /** The first `size` bytes; there must be so many. */
    take(size) {
        const parts = [];
        let missing = size;
        let used = 0;
        while (missing > 0) {
            const chunk = this.#chunks[used];
            if (chunk.length > missing) {
                parts.push(chunk.subarray(0, missing));
                this.#chunks[used] = chunk.subarray(missing);
                missing = 0;
            } else {
                parts.push(chunk);
                missing -= chunk.length;
                ++used;
            }
        }
        this.#chunks.splice(0, used);
        this.length -= size;
        return parts.length === 1 ? parts[0] : Buffer.concat(parts, size);
    }
}

/** A connection. Made by connect(). */
class Connection {
    #socket;
    #largest;
    #received = new ByteQueue();
    #announced = -1; // bytes of the message whose header has been taken
    #isAtEnd = false;
    #failure = null;
    #waiting = []; // receivers: { take, resolve, reject, timer }
    #lastWrite = Promise.resolve();

    constructor(socket, largestMessage) {
        this.#socket = socket;
        this.#largest = largestMessage;
        socket.on('data', (chunk) => {
            this.#received.add(chunk);
            this.#serve();
        });
        socket.on('end', () => this.#end(null));
        socket.on('error', (error) => {
            // It closed without having read everything: that is an end, too.
            const isEnd = error.code === 'ECONNRESET' || error.code === 'EPIPE';
            this.#end(isEnd ? null : new PipeError(error.code, `the pipe failed: ${error.message}`));
        });
        socket.on('close', () => this.#end(null));
    }

    /** Sends one message, a Buffer or a string. Resolves when the system has it: await this, and a
     * server that does not read slows you down instead of filling the memory. */
    send(message) {
        const data = typeof message === 'string' ? Buffer.from(message) : message;
        const largest = ON_WINDOWS ? LARGEST_WINDOWS_MESSAGE : LARGEST_MESSAGE;
        if (data.length > largest) {
            return Promise.reject(
                new PipeError('TooLarge', `a message cannot have ${data.length} bytes`));
        }
        if (ON_WINDOWS) return this.#sendOnWindows(data);
        const header = Buffer.alloc(HEADER_SIZE);
        header.writeUInt32BE(data.length);
        return new Promise((resolve, reject) => {
            this.#socket.cork(); // header and bytes in one system call
            this.#socket.write(header);
            this.#socket.write(data, (error) => (error ? reject(this.#goneError(error)) : resolve()));
            this.#socket.uncork();
        });
    }

    /** Resolves with the next message, a Buffer, or with null when the server has closed. Rejects
     * with TimeOver after `timeout` milliseconds; nothing is lost then.
     *
     * Not on Windows: Node.js cannot read in message mode. */
    receive(timeout) {
        if (ON_WINDOWS) {
            return Promise.reject(
                new PipeError(
                    'Unsupported',
                    'Node.js reads a pipe as a stream of bytes on Windows and sees no messages:' +
                        ' use receiveBytes()'));
        }
        return this.#wait(() => this.#takeMessage(), timeout);
    }

    /** Windows only: resolves with exactly `size` bytes, from one message or from several, or with
     * null when the server has closed. For answers of a size that is known, or a protocol that has
     * lengths of its own inside the messages. */
    receiveBytes(size, timeout) {
        if (!ON_WINDOWS) {
            return Promise.reject(
                new PipeError('Unsupported', 'receiveBytes() is for Windows: use receive()'));
        }
        const take = () => (this.#received.length >= size ? this.#received.take(size) : undefined);
        return this.#wait(take, timeout);
    }

    /** Sends what is queued, and closes. */
    close() {
        this.#socket.end();
        this.#socket.destroySoon();
    }

    async *[Symbol.asyncIterator]() {
        for (;;) {
            const message = await this.receive();
            if (message === null) return;
            yield message;
        }
    }

    /** One WriteFile() is one message. Node.js would put writes that wait into one call: so each
     * starts when the one before it has ended. */
    #sendOnWindows(data) {
        if (data.length === 0) {
            return Promise.reject(
                new PipeError('Unsupported', 'Node.js writes no empty message on Windows'));
        }
        const write = () =>
            new Promise((resolve, reject) => {
                this.#socket.write(data, (error) =>
                    error ? reject(this.#goneError(error)) : resolve());
            });
        const sent = this.#lastWrite.then(write);
        this.#lastWrite = sent.catch(() => {});
        return sent;
    }

    #goneError(error) {
        return new PipeError('Closed', `the server has gone: ${error.message}`);
    }

    /** The first message of what has arrived; undefined when it is not whole. */
    #takeMessage() {
        if (this.#announced < 0) {
            if (this.#received.length < HEADER_SIZE) return undefined;
            const length = this.#received.take(HEADER_SIZE).readUInt32BE();
            this.#announced = length === NULL_ARRAY ? 0 : length;
        }
        if (this.#announced > this.#largest) {
            throw new PipeError(
                'TooLarge',
                `the server announces ${this.#announced} bytes, ${this.#largest} are allowed`);
        }
        if (this.#received.length < this.#announced) return undefined;
        const size = this.#announced;
        this.#announced = -1;
        return size === 0 ? Buffer.alloc(0) : this.#received.take(size);
    }

    #wait(take, timeout) {
        return new Promise((resolve, reject) => {
            const receiver = { take, resolve, reject, timer: null };
            if (timeout !== undefined) {
                receiver.timer = setTimeout(() => {
                    this.#waiting.splice(this.#waiting.indexOf(receiver), 1);
                    reject(new PipeError('TimeOver', 'the server did not answer in time'));
                }, timeout);
            }
            this.#waiting.push(receiver);
            this.#serve();
        });
    }

    /** Gives the receivers what is there, and reads on when that is wanted. */
    #serve() {
        while (this.#waiting.length > 0) {
            const receiver = this.#waiting[0];
            let message;
            try {
                message = receiver.take();
                if (message === undefined && this.#isAtEnd) message = this.#atEnd();
            } catch (error) {
                this.#answer((waiting) => waiting.reject(error));
                continue;
            }
            if (message === undefined) break;
            this.#answer((waiting) => waiting.resolve(message));
        }
        if (this.#waiting.length === 0 && this.#received.length >= HIGH_WATER) this.#socket.pause();
        else this.#socket.resume();
    }

    #answer(how) {
        const receiver = this.#waiting.shift();
        clearTimeout(receiver.timer);
        how(receiver);
    }

    #atEnd() {
        if (this.#failure) throw this.#failure;
        if (this.#received.length > 0 || this.#announced >= 0) {
            throw new PipeError('Truncated', 'the server closed in the middle of a message');
        }
        return null;
    }

    #end(failure) {
        if (this.#isAtEnd) return;
        this.#isAtEnd = true;
        this.#failure = failure;
        this.#serve();
    }
}

function tryToConnect(file, timeout) {
    return new Promise((resolve, reject) => {
        const socket = net.connect({ path: file });
        // On Windows the runtime waits for a busy pipe itself, and longer than we may want to.
        const timer =
            timeout === Infinity
                ? null
                : setTimeout(() => {
                      socket.destroy();
                      reject(new PipeError('ServerBusy', `the server is busy: ${file}`));
                  }, timeout);
        const failed = (error) => {
            clearTimeout(timer);
            reject(error);
        };
        socket.once('error', failed);
        socket.once('connect', () => {
            clearTimeout(timer);
            socket.removeListener('error', failed);
            resolve(socket);
        });
    });
}

/**
 * Connects to the pipe `name`.
 *
 * A server that is busy is tried again for `timeout` milliseconds. A name without a server fails at
 * once, unless `waitForServer` is true. A message from the server that is larger than
 * `largestMessage` makes receive() fail.
 */
async function connect(name, options = {}) {
    const { timeout = 5000, waitForServer = false, largestMessage = LARGEST_MESSAGE } = options;
    const file = pathOf(name);
    const end = Date.now() + timeout;
    let pause = 2;
    for (;;) {
        let failure;
        try {
            return new Connection(await tryToConnect(file, Math.max(1, end - Date.now())),
                                  largestMessage);
        } catch (error) {
            failure = error;
        }
        if (failure.code === 'ENOENT' || failure.code === 'ECONNREFUSED') {
            failure = new PipeError('NoServer', `no server runs at ${file}`);
            if (!waitForServer) throw failure;
        } else if (failure.code === 'EAGAIN' || failure.code === 'EBUSY') {
            failure = new PipeError('ServerBusy', `the server is busy: ${file}`);
        } else if (!(failure instanceof PipeError)) {
            throw new PipeError(failure.code, `cannot connect to ${file}: ${failure.message}`);
        }
        const left = end - Date.now();
        if (left <= 0) throw failure;
        // A little longer each time, and never in step with other clients.
        await sleep(Math.min(left, pause * (0.5 + Math.random() / 2)));
        pause = Math.min(pause * 2, 50);
    }
}

module.exports = { connect, Connection, PipeError, ON_WINDOWS };
