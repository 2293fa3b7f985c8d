/** A server that is already running: JSON-RPC over a websocket, one message a frame. */
import { WebSocket } from 'ws';
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  Disposable,
  type DataCallback,
  type Message,
  type MessageTransports,
} from 'vscode-languageclient/node';

const TIMEOUT_MS = 10_000;

/** Connect; rejects with a text that says what to do. `token` goes into a header. */
export function connect(url: string, token: string | undefined): Promise<MessageTransports> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, {
      handshakeTimeout: TIMEOUT_MS,
      headers: token ? { Authorization: `Bearer ${token}` } : {},
    });
    // Messages may come before anybody listens; the socket waits until then.
    socket.once('open', () => {
      socket.pause();
      resolve({ reader: new Reader(socket), writer: new Writer(socket) });
    });
    socket.once('unexpected-response', (_, response) => {
      socket.terminate();
      reject(new Error(refusal(url, response.statusCode ?? 0)));
    });
    socket.once('error', (error) =>
      reject(new Error(`No server answers at ${url} (${error.message}). Start one there (polydraft serve --ws), or clear the setting polydraft.serverUrl.`)),
    );
  });
}

function refusal(url: string, status: number): string {
  if (status === 401 || status === 403) {
    return `The server at ${url} wants a token. Run "polydraft: Set the server's token", with the one that it was started with.`;
  }
  return `${url} is no polydraft server (HTTP ${status}). Mend the setting polydraft.serverUrl.`;
}

class Reader extends AbstractMessageReader {
  constructor(private readonly socket: WebSocket) {
    super();
    socket.on('close', () => this.fireClose());
    socket.on('error', (error) => this.fireError(error));
  }

  listen(callback: DataCallback): Disposable {
    const hear = (data: unknown): void => {
      try {
        callback(JSON.parse(String(data)) as Message);
      } catch (error) {
        this.fireError(error instanceof Error ? error : new Error(String(error)));
      }
    };
    this.socket.on('message', hear);
    this.socket.resume();
    return Disposable.create(() => this.socket.off('message', hear));
  }
}

class Writer extends AbstractMessageWriter {
  private unsent = 0;

  constructor(private readonly socket: WebSocket) {
    super();
    socket.on('close', () => this.fireClose());
  }

  write(message: Message): Promise<void> {
    return new Promise((resolve, reject) =>
      this.socket.send(JSON.stringify(message), (error) => {
        if (!error) return resolve();
        this.unsent += 1;
        this.fireError(error, message, this.unsent);
        reject(error);
      }),
    );
  }

  end(): void {
    this.socket.close();
  }
}
