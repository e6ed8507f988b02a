/** A small members API that knows nothing of Keyward: it keeps what it is sent in a JSON file, and finds members by equality. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';

interface Row {
  readonly [member: string]: unknown;
}
interface Tables {
  members: { [memberId: string]: Row };
  notes: { [memberId: string]: Row[] };
}
interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly location?: string;
}

export function createMembersApi(file: string): Server {
  const tables: Tables = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as Tables)
    : { members: {}, notes: {} };
  return createServer((request, response) => {
    const { method = '', url = '' } = request;
    const answered = readBody(request).then((body) => {
      const answer = route(tables, method, new URL(url, 'http://api.invalid'), body);
      if (method !== 'GET') writeFileSync(file, JSON.stringify(tables, null, 2));
      return answer;
    });
    void answered.catch(() => ({ status: 400, body: { error: 'not JSON' } })).then((answer) => send(response, answer));
  });
}

async function readBody(request: IncomingMessage): Promise<Row> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Row);
}

function send(response: ServerResponse, { status, body, location }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...(location ? { location } : {}) });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

function route(tables: Tables, method: string, { pathname, searchParams }: URL, body: Row): Answer {
  const [, collection, id, notes] = pathname.split('/');
  if (collection !== 'members') return { status: 404, body: { error: 'no such address' } };
  if (id === undefined) return method === 'POST' ? addMember(tables, body) : findMembers(tables, searchParams);
  const member = tables.members[id];
  if (!member) return { status: 404, body: { error: `no member ${id}` } };
  if (notes === 'notes') return method === 'POST' ? addNote(tables, id, body) : { status: 200, body: tables.notes[id] };
  return oneMember(tables, method, id, member, body);
}

function addMember(tables: Tables, body: Row): Answer {
  const id = String(body['memberId']);
  if (tables.members[id]) return { status: 409, body: { error: 'exists', member: tables.members[id] } };
  tables.members[id] = body;
  tables.notes[id] = [];
  return { status: 201, body, location: `/members/${id}` };
}

function findMembers({ members }: Tables, wanted: URLSearchParams): Answer {
  const items = Object.values(members).filter((member) =>
    [...wanted].every(([name, value]) => String(member[name]) === value),
  );
  return { status: 200, body: { items, total: items.length } };
}

function oneMember(tables: Tables, method: string, id: string, member: Row, body: Row): Answer {
  if (method === 'GET') return { status: 200, body: member };
  if (method === 'DELETE') {
    delete tables.members[id];
    delete tables.notes[id];
    return { status: 204 };
  }
  tables.members[id] = method === 'PATCH' ? merged(member, body) : body;
  return { status: 200, body: tables.members[id] };
}

/** RFC 7396, one level deep. */
const merged = (member: Row, change: Row): Row =>
  Object.fromEntries(Object.entries({ ...member, ...change }).filter(([, value]) => value !== null));

function addNote(tables: Tables, id: string, body: Row): Answer {
  const note = { ...body, id: randomUUID() };
  tables.notes[id]?.push(note);
  return { status: 201, body: note };
}

if (import.meta.main) {
  const [port = '9080', file = 'members.json'] = process.argv.slice(2);
  createMembersApi(file).listen(Number(port), '127.0.0.1', () => process.stdout.write(`members API on ${port}\n`));
}
