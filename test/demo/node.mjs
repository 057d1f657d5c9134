// A node of its own process, for the time of a test.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

const PATIENCE = 60_000; // ms until a node listens: the first start compiles the filters

export class Node {
  /** Starts `sluice serve` and waits until it has printed its links and listens. */
  static async start(binary, folder, args) {
    const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    const node = new Node();
    node.output = '';
    // Variables of the test's own environment are none of its configuration.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SLUICE_')));
    node.process = spawn(binary, ['serve', '--admin-listen', 'off', '--cache', `${folder}/cache`, '--shutdown-drain', '0s', '--log-level', 'debug', ...listen, ...args], { cwd: folder, env });
    node.ended = once(node.process, 'exit');
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the node does not listen:\n${node.output}`)), PATIENCE);
      const read = (text) => {
        node.output += text;
        if (/msg=listening/.test(node.output) && /\n {2}bob {2}/.test(node.output)) resolve(clearTimeout(timer));
      };
      node.process.stdout.setEncoding('utf8').on('data', read);
      node.process.stderr.setEncoding('utf8').on('data', read);
      node.process.on('exit', () => {
        clearTimeout(timer);
        reject(new Error(`the node ended:\n${node.output}`));
      });
    });
    node.links = Object.fromEntries([...node.output.matchAll(/^ {2}(\w+) {2}(http:\S+)$/gm)].map((m) => [m[1], m[2]]));
    node.address = new URL(node.links.bob).host;
    return node;
  }

  /** What the node logged: its output without the links. */
  log() {
    return this.output.split('\n').filter((line) => /^time=/.test(line)).join('\n');
  }

  async stop() {
    this.process.kill('SIGTERM');
    await this.ended;
  }
}
