/** The one error table: wire status, FHIR issue, retry, CLI exit, text and hint of every coded error. */

export interface ErrorRow {
  /** HTTP status on the wire. */
  readonly status: number;
  /** FHIR IssueType code. */
  readonly issue: string;
  /** Whether the same call may succeed later unchanged. */
  readonly retry: boolean;
  /** CLI exit status. */
  readonly exit: number;
  /** What happened; never holds a value from the request. */
  readonly text: string;
  /** What to do next. */
  readonly hint: string;
}

const row = (status: number, issue: string, text: string, hint: string, more: Partial<ErrorRow> = {}): ErrorRow => ({
  status,
  issue,
  retry: status === 503 || status === 504 || status === 429,
  exit: 1,
  text,
  hint,
  ...more,
});

/** Codes are `ROOM_WHAT` and stable: clients and runbooks rely on them. */
// biome-ignore format: a table
export const ERRORS = {
  // core
  CORE_INTERNAL: row(500, 'exception', 'Something failed inside Keyward.', 'Quote the correlation id to the operator; the cause is in the log.'),
  JSON_MALFORMED: row(400, 'structure', 'The body is not JSON.', 'Send one JSON document in UTF-8 without trailing text.'),
  JSON_NOT_UTF8: row(400, 'structure', 'The body is not valid UTF-8.', 'Encode the body in UTF-8.'),
  JSON_TOO_DEEP: row(400, 'too-long', 'The body is nested too deeply.', 'Keep nesting at or below 64 levels.'),
  JSON_DUPLICATE_KEY: row(400, 'structure', 'An object in the body names the same member twice.', 'Send every member once.'),
  JSON_FORBIDDEN_KEY: row(400, 'structure', 'An object in the body has a forbidden member name.', 'Remove members named __proto__.'),

  // config
  CONFIG_INVALID: row(500, 'invalid', 'The configuration is not valid.', 'Correct the keys named, in keyward.yaml, KEYWARD_… variables or flags; docs/reference/configuration.md has all keys.', { exit: 2 }),
  CONFIG_SECRET_UNREADABLE: row(500, 'invalid', 'A secret that the configuration refers to cannot be read.', 'Correct the reference ({file: PATH} or {env: NAME}), and let nobody but the custodian read the file.', { exit: 2 }),
  CONFIG_UNREADABLE: row(500, 'invalid', 'The configuration file cannot be read.', 'Check the path given with --config and its permissions.', { exit: 2 }),

  // up: what keeps a process from starting
  UP_PORT_TAKEN: row(500, 'transient', 'A port that Keyward needs is taken.', 'Stop the other program, or choose another port with --gateway-port or --admin-port.', { exit: 3 }),
  UP_ADDRESS_REFUSED: row(500, 'invalid', 'An address that Keyward should listen on cannot be used.', 'Correct gateway.host and admin.host, and choose ports from 1024 on.', { exit: 3 }),
  UP_DATA_DIR: row(500, 'exception', 'The data directory cannot be used.', 'Correct what is named: make it writable, free disk space, or restore what was lost; or choose another --data-dir.', { exit: 3 }),
  UP_ALREADY_RUNNING: row(500, 'conflict', 'Keyward is already running on this data directory.', 'Stop it first, or choose another --data-dir.', { exit: 3 }),
  UP_CHILD_FAILED: row(500, 'exception', 'A Keyward process did not become ready.', 'Read its log in the data directory under logs/.', { exit: 3 }),

  // db
  DB_UNAVAILABLE: row(503, 'transient', 'The database does not answer.', 'Try again; if it lasts, run "keyward doctor".', { exit: 4 }),
  DB_BINARY: row(500, 'exception', 'The PostgreSQL that comes with Keyward cannot run on this machine.', 'Correct what is named (a missing library or package, a file the user may not run), then check with "keyward doctor".', { exit: 4 }),
  DB_SCHEMA_NEWER: row(500, 'exception', 'The database was written by a newer Keyward.', 'Start the newer version again, or choose another --data-dir.', { exit: 4 }),
  DB_SCHEMA_CHANGED: row(500, 'exception', 'A migration that was applied has changed since.', 'Use an unmodified Keyward.', { exit: 4 }),

  // keys
  KEYS_UNAUTHENTICATED: row(401, 'login', 'The custodian does not know this caller.', 'Present the credential of a registered process.'),
  KEYS_FORBIDDEN: row(403, 'forbidden', 'This caller may not use keys of that kind.', 'Ask only for the kinds registered for this process.'),
  KEYS_UNKNOWN_KEY: row(404, 'not-found', 'No such key.', 'The ciphertext names a key this custodian does not hold, or holds no longer.'),
  KEYS_STATE_REFUSED: row(409, 'conflict', 'The state of this key does not permit that use.', 'Ask the operator for the state of the key and of its KEK.'),
  KEYS_REQUEST_INVALID: row(400, 'invalid', 'The request to the custodian is not well formed.', 'Compare it with the custodian API reference.'),
  KEYS_UNAVAILABLE: row(503, 'transient', 'The custodian does not answer.', 'Try again in a moment.'),
  KEYS_REF_INVALID: row(400, 'invalid', 'This does not name a key.', 'Name it like kek/3, key/<32 hex digits>, subject/<uuid>, tenant or index/family; "keyward keys list" shows them.', { exit: 2 }),
  KEYS_TRANSITION_REFUSED: row(409, 'conflict', 'The life cycle of a key does not permit that change.', 'See its state with "keyward keys show"; docs/reference/key-lifecycle.md has the table.'),
  KEYS_HELD: row(409, 'business-rule', 'A legal hold protects this key.', 'Release the hold first; "keyward keys show" names it.'),
  KEYS_HOLD_LAPSES: row(409, 'not-supported', 'A hold on a KEK would lapse with its next rotation.', 'Hold what the keys are for: subject/<uuid>, tenant, store, index/<class>; or one version of a data key: key/<hex>.', { exit: 2 }),
  KEYS_LEDGER_NEEDS: row(409, 'business-rule', 'The ledger needs this key.', 'Without it nothing could be recorded, and so nothing done; it stays as it is.'),
  KEYS_UNKNOWN_RECORD: row(404, 'not-found', 'No such order, hold or certificate.', 'See what there is with "keyward keys show".'),
  KEYS_IN_USE: row(409, 'business-rule', 'Data keys are still wrapped under this KEK.', 'Run "keyward keys rewrap" first, then try again.'),
  KEYS_APPROVAL_REFUSED: row(403, 'forbidden', 'This approval does not count.', 'It must be signed by an enrolled approver who is not the requester, over this very request, before it expires.'),
  KEYS_REQUESTS_TOO_MANY: row(429, 'throttled', 'Too many of your requests wait for approvals.', 'Withdraw those that nobody needs, with "keyward keys cancel"; "keyward keys requests" lists them.'),
  KEYS_REQUEST_ENDED: row(409, 'conflict', 'This request has ended or expired.', 'Make a new one; "keyward keys requests" lists those that wait.'),
  KEYS_REQUEST_UNKNOWN: row(404, 'not-found', 'There is no such request for approval.', '"keyward keys requests" lists those that wait.', { exit: 2 }),
  KEYS_REQUEST_ALTERED: row(409, 'security', 'This request is not as it was made.', 'Somebody changed it in the key database: make a new one, and review who could write there.', { exit: 5 }),
  KEYS_ACT_INTERRUPTED: row(500, 'incomplete', 'The custodian was stopped in the middle of this act.', 'See with "keyward keys show" and "keyward keys jobs" what became of it, then ask for it again.'),
  KEYS_ENROLMENT_REFUSED: row(409, 'conflict', 'This approver key cannot be enrolled.', 'A key belongs to one person, and a person has one: make a new one with "keyward keys enroll", with --again to replace yours.'),
  KEYS_OPERATOR_UNKNOWN: row(404, 'not-found', 'Nobody has that role under that name.', '"keyward keys roles" lists who has which.', { exit: 2 }),
  KEYS_APPROVERS_TOO_FEW: row(409, 'business-rule', 'Too few people could approve afterwards.', 'Give somebody else the role approver first.'),
  KEYS_ROLE_REFUSED: row(403, 'forbidden', 'Your role does not permit this act on keys.', 'Ask somebody who has the role named; "keyward keys roles" lists them.'),
  KEYS_DUTIES_CONFLICT: row(409, 'business-rule', 'These roles must not be held by one person.', 'Grant them to different people; docs/reference/key-roles.md has the table.'),
  KEYS_EXHAUSTED: row(409, 'business-rule', 'This key has protected as much as it may.', 'Rotate it: "keyward keys rotate".'),
  KEYS_ROLLED_BACK: row(500, 'security', 'The key database is older than what this custodian has seen.', 'An old backup was put in its place. Restore the newest one, or accept the loss as docs/how-to/recover-keys.md describes.', { exit: 5 }),
  KEYS_WORN: row(409, 'business-rule', 'This key has protected half of what it may.', 'It is rotated by itself when it nears its limit; "keyward keys rotate" does it now.'),
  KEYS_OVERDUE: row(409, 'business-rule', 'This key is past its cryptoperiod.', 'Rotate it: "keyward keys rotate"; of the root, make a new key and run "keyward keys move-root".'),
  KEYS_REINDEX_NEEDED: row(409, 'not-supported', 'Index and pseudonym keys change only with a re-index, which this version does not have.', 'Nothing was changed. What was sealed can be given new keys: rotate subject, tenant, store or cursor keys.'),
  KEYS_KEK_NOT_OPENED: row(409, 'incomplete', 'Not every custodian that runs could open the new KEK, so it was not promoted.', 'See the logs of the custodians, correct what they name, and run "keyward keys rotate kek" again; nothing was changed meanwhile.'),
  KEYS_CLOCK_BACK: row(503, 'transient', 'The clock of this machine went back.', 'Correct the clock; nothing that depends on time happens until it has caught up.'),
  KEYS_JOB_RUNNING: row(409, 'conflict', 'Such a job is running already.', 'Wait for it: "keyward keys jobs" shows how far it is.'),
  KEYS_RATE_LIMITED: row(429, 'throttled', 'This caller asks for more keys than it may.', 'Wait a moment, then try again; keys.rateLimit sets the limit.'),
  KEYS_USE_REFUSED: row(403, 'forbidden', 'The use that was stated does not fit the keys asked for.', 'State the tenant, and every subject whose keys are asked for.'),
  KEYS_ROOT_UNAVAILABLE: row(503, 'transient', 'The root (HSM or KMS) does not answer.', 'Keys that are open keep serving until their lease ends. Check the root; the log of the custodian names the cause.', { exit: 5 }),
  KEYS_ROOT_WRONG_ANSWER: row(500, 'security', 'The root (HSM or KMS) answered wrongly.', 'Nothing of it was stored. Check what really answers at its address, and with which key.', { exit: 5 }),
  KEYS_ROOT_UNUSABLE: row(500, 'invalid', 'The root (HSM or KMS) or its key does not fit.', 'Correct what is named, in keys.root or at the root; its how-to is in docs/how-to.', { exit: 5 }),
  KEYS_ROOT_REFUSED: row(500, 'security', 'The root (HSM or KMS) refused the use of its key.', 'Check that its key is enabled and that the custodian may wrap and unwrap with it.', { exit: 5 }),
  KEYS_BACKUP_INVALID: row(400, 'security', 'The backup or a share of it cannot be used.', 'It was altered or cut off, or the shares belong to another backup or are too few.', { exit: 5 }),
  KEYS_RESTORE_REFUSED: row(409, 'conflict', 'Keys are restored only into an empty installation.', 'Choose an empty data directory.', { exit: 3 }),
  KEYS_ROOT_UNREADABLE: row(500, 'exception', 'The root key file cannot be read.', 'Restore root.key with mode 0600, or point keys.root.file to it.', { exit: 5 }),
  KEYS_ROOT_MISMATCH: row(500, 'security', 'The root key does not open the tenant KEK.', 'Restore the root key this data directory was created with.', { exit: 5 }),
  KEYS_NOT_AUTHENTIC: row(500, 'security', 'A stored key was altered or does not match its id.', 'Restore the key database from a backup and review who could write to it.'),

  // ledger
  LEDGER_UNAVAILABLE: row(503, 'transient', 'The ledger could not record this request in time, so it was not served.', 'Try again; nothing was opened.'),
  LEDGER_ENTRY_TOO_LARGE: row(500, 'too-long', 'A ledger entry is larger than the format allows.', 'Send smaller bundles.'),

  // seal
  SEAL_NOT_AUTHENTIC: row(502, 'security', 'A sealed value that came back from the upstream does not open.', 'The stored record was altered or moved; nothing of it was shown. Review who could write to the upstream.'),
  SEAL_OVERRIDES_INVALID: row(500, 'invalid', 'The overrides of what is sealed are not valid.', 'Correct the lines named; docs/how-to/what-is-sealed.md says what a line may hold.', { exit: 2 }),
  SEAL_INDEX_REFUSED: row(500, 'invalid', 'An index was asked for on an element that has few values.', 'Choose seal or omit: whoever sees the upstream could tell the values of such an index by how often each occurs.', { exit: 2 }),

  // ca
  CA_KEY_UNUSABLE: row(500, 'exception', 'The private key of the CA or of the server cannot be used.', 'Restore ca/ca.key with mode 0600; or move the folder ca/ away, start again, and give clients the new ca.pem.', { exit: 3 }),
  CA_HOST_INVALID: row(500, 'invalid', 'A host name for the server certificate is not a DNS name or IP address.', 'Name hosts without scheme, port or wildcard.', { exit: 2 }),

  // identity
  IDENTITY_TOKEN_MISSING: row(401, 'login', 'No access token was sent.', 'Send "Authorization: Bearer <token>".'),
  IDENTITY_TOKEN_INVALID: row(401, 'login', 'The access token is not valid here.', 'Request a new token from a configured issuer, for this audience.'),
  IDENTITY_TOKEN_EXPIRED: row(401, 'expired', 'The access token has expired.', 'Request a new token.'),
  IDENTITY_MFA_REQUIRED: row(401, 'login', 'This role needs a sign-in with a second factor.', 'Sign in again with multi-factor authentication.'),
  IDENTITY_ISSUER_UNAVAILABLE: row(503, 'transient', 'What the token issuer publishes, its keys or its description, cannot be fetched.', 'Try again in a moment.'),
  IDENTITY_ISSUER_INVALID: row(502, 'exception', 'The token issuer describes itself in a way that cannot be passed on.', 'Correct its openid-configuration: it must name the issuer that is configured here, and endpoints by https.'),

  // access
  ACCESS_DENIED: row(403, 'forbidden', 'The policy does not permit this.', 'Ask the operator which role and purpose may do this.'),
  ACCESS_SCOPE: row(403, 'forbidden', 'The scopes of the access token do not permit this.', 'Request a token with a scope that names this type and interaction.'),
  ACCESS_PARTIAL_WRITE: row(409, 'conflict', 'The body was built on a partial view; storing it would erase what was not shown.', 'Read the resource with a role that sees all of it, and write that.'),

  // gateway
  GATEWAY_PATH_REFUSED: row(400, 'invalid', 'The request path is not in normal form.', 'Remove dot segments, doubled slashes, semicolons and encoded separators from the path.'),
  GATEWAY_NOT_FOUND: row(404, 'not-found', 'There is nothing at this address.', 'The FHIR base is /fhir.'),
  GATEWAY_HEADER_REFUSED: row(400, 'invalid', 'A request header is not acceptable.', 'Send each header once, and in the form that HTTP and FHIR give it.'),
  GATEWAY_HTTP_VERSION: row(505, 'not-supported', 'HTTP/1.0 cannot tell a whole export from one that broke off.', 'Ask by HTTP/1.1.'),
  GATEWAY_BODY_TOO_LARGE: row(413, 'too-long', 'The body is larger than the gateway accepts.', 'Split the bundle; the limit is gateway.maxBodyBytes.'),
  GATEWAY_BODY_MISSING: row(400, 'required', 'This interaction needs a body.', 'Send a JSON body.'),
  GATEWAY_CONTENT_TYPE: row(415, 'not-supported', 'The content type is not supported.', 'Send application/fhir+json (or application/x-www-form-urlencoded to _search).'),
  GATEWAY_NOT_ACCEPTABLE: row(406, 'not-supported', 'Only JSON can be returned.', 'Send "Accept: application/fhir+json".'),
  GATEWAY_UPSTREAM_UNAVAILABLE: row(503, 'transient', 'The FHIR server behind the gateway does not answer.', 'Try again in a moment.'),
  GATEWAY_UPSTREAM_DENIED: row(502, 'security', 'The server behind the gateway does not let the gateway in.', 'Nothing was changed. Ask the operator to permit this gateway there; no token of yours is at fault.'),
  GATEWAY_UPSTREAM_UNSUPPORTED: row(501, 'not-supported', 'The server behind the gateway does not support this interaction.', 'Nothing was changed. Ask the operator what that server supports.'),
  GATEWAY_UPSTREAM_TOO_LARGE: row(413, 'too-long', 'The server behind the gateway does not take a body of this size; sealed, it is larger than what was sent.', 'Nothing was changed. Split the bundle, or ask the operator to raise the limit of that server.'),
  GATEWAY_UPSTREAM_BUSY: row(429, 'throttled', 'The server behind the gateway takes no more requests for now.', 'Wait, then try again; nothing was changed.'),
  GATEWAY_UPSTREAM_INVALID: row(502, 'exception', 'The FHIR server behind the gateway answered with something that is not FHIR JSON.', 'Nothing of it was passed through. See the gateway log for the correlation id.'),

  GATEWAY_UPSTREAM_UNSEALED: row(502, 'security', 'The record behind the gateway holds identifying values that were not sealed here.', 'It was written past the gateway; nothing of it was shown. Write it again through the gateway.'),

  GATEWAY_CATALOGUE_UNKNOWN: row(502, 'exception', 'The record was sealed under rules that are not configured here, so it cannot be read by them.', 'Name the overrides file it was sealed under in seal.earlierOverridesFiles; nothing of it was shown.'),
  GATEWAY_OUTCOME_UNKNOWN: row(504, 'timeout', 'The write was sent to the server behind the gateway, and what became of it is not known.', 'Search for it before you send it again; the ledger has its intent under this correlation id.', { retry: false }),
  GATEWAY_CONTENDED: row(503, 'transient', 'Other writers of the same record or condition were not done in time.', 'Try again in a moment; nothing was written.'),
  GATEWAY_BODY_INCOMPLETE: row(400, 'structure', 'The body ended early or its chunks are malformed.', 'Send the body whole.'),

  GATEWAY_BACKFILL_ORDER: row(400, 'invalid', 'The backfill order cannot be read.', 'Send Parameters with mode, type and, as wanted, count, page and dryRun; or use "keyward seal backfill".'),
  GATEWAY_UNDO_OFF: row(403, 'forbidden', 'Seals are taken off only while the configuration says so.', 'Start the gateway with gateway.existingData: undo.', { exit: 2 }),
  GATEWAY_UNDO_ON: row(403, 'forbidden', 'Seals are being taken off, and nothing is written beside that.', 'Start the gateway with gateway.existingData: refuse or backfill.', { exit: 2 }),

  // fhir
  FHIR_TYPE_UNKNOWN: row(404, 'not-supported', 'This is not an R4 resource type.', 'See /fhir/metadata for the types.'),
  FHIR_INTERACTION_UNSUPPORTED: row(501, 'not-supported', 'This interaction is not supported.', 'See /fhir/metadata for what is.'),
  FHIR_RESOURCE_INVALID: row(400, 'invalid', 'The body is not a resource of the expected shape.', 'Send an object whose resourceType and id agree with the address.'),
  FHIR_PROFILE_VIOLATED: row(422, 'invariant', 'The resource does not satisfy a profile that applies to it.', 'Correct the elements named; docs/how-to/validate-against-profiles.md tells what is checked.'),
  FHIR_PROFILE_UNUSABLE: row(500, 'invalid', 'A configured profile cannot be used.', 'Correct the files named in gateway.profiles, or name what is not to be checked under its key unchecked.', { exit: 2 }),
  FHIR_BUNDLE_INVALID: row(400, 'invalid', 'The bundle cannot be processed.', 'Send type batch or transaction, with a request in each entry.'),
  FHIR_ID_REFUSED: row(400, 'value', 'The id is not acceptable: ids are not sealed and must not tell who someone is.', 'Use a random id, or let the server assign one.'),
  FHIR_RESERVED_EXTENSION: row(400, 'value', 'The body uses an extension that is reserved for the gateway.', 'Remove extensions whose url starts with urn:keyward:.'),
  FHIR_PHI_IN_URL: row(400, 'security', 'A search by identifying values must not stand in a URL.', 'POST the same parameters to [type]/_search as application/x-www-form-urlencoded.'),
  FHIR_PARAM_UNSUPPORTED: row(400, 'not-supported', 'A search parameter, modifier or prefix is not supported on this type.', 'See /fhir/metadata for the parameters; sealed elements can be searched by equality.'),
  FHIR_PARAM_INVALID: row(400, 'invalid', 'A search parameter has a value that cannot be read.', 'Correct the value.'),
  FHIR_CONDITION_EMPTY: row(400, 'required', 'Neither an id nor a search parameter says which resource is meant.', 'Send an id, or at least one search parameter as the condition.'),
  FHIR_CURSOR_INVALID: row(400, 'invalid', 'This page link is not valid for this caller, or no longer.', 'Run the search again.'),
  FHIR_INCLUDES_TOO_MANY: row(400, 'too-costly', 'One page would include too many other resources.', 'Ask for smaller pages with _count, or for fewer inclusions.'),
  FHIR_EXPORT_ASYNC: row(400, 'invalid', 'An export is not answered at once.', 'Send "Prefer: respond-async", then follow Content-Location.'),
  FHIR_EXPORT_LINK: row(404, 'not-found', 'This link of an export is not valid for this caller, or no longer.', 'Start the export again; its links are good for an hour.'),
  FHIR_SUBJECT_UNKNOWN: row(422, 'not-found', 'The resource refers to a patient that does not exist here.', 'Create the patient first, or put both into one transaction.'),
  FHIR_REFERENCE_UNRESOLVED: row(422, 'not-found', 'No resource fulfils a conditional reference.', 'Create the resource it refers to first, or name it by type and id.'),
  FHIR_PATCH_INVALID: row(400, 'structure', 'The patch is not a JSON Patch.', 'Send a list of RFC 6902 operations as application/json-patch+json.'),
  FHIR_PATCH_FAILED: row(422, 'processing', 'An operation of the patch does not fit the resource.', 'Read the resource again and compare; nothing was changed.'),
  FHIR_NOT_FOUND: row(404, 'not-found', 'No such resource.', 'Check type and id.'),
  FHIR_GONE: row(410, 'deleted', 'The resource was deleted.', 'Its earlier versions can be read through _history.'),
  FHIR_CONFLICT: row(409, 'conflict', 'The FHIR server refused the write because of a conflict.', 'Read the resource again and repeat the change.'),
  FHIR_PRECONDITION: row(412, 'conflict', 'The version in If-Match is not the current one.', 'Read the resource again and repeat the change.'),
  FHIR_MULTIPLE_MATCHES: row(412, 'multiple-matches', 'Several resources match the condition, so that none is meant.', 'Name the resource by its id, or narrow the condition to one.'),
  FHIR_CONDITIONS_TOO_WIDE: row(422, 'too-costly', 'Too many records must be compared to tell which ones the conditions of this request mean.', 'Narrow the conditions, by an identifier for instance, or state fewer in one bundle.'),
  FHIR_UPSTREAM_REFUSED: row(422, 'processing', 'The FHIR server behind the gateway refused the request.', 'Validate the resource against R4.'),

  // api: JSON APIs that are no FHIR
  API_MAP_INVALID: row(500, 'invalid', 'The description of a JSON API cannot be used.', 'Correct the place it names; docs/how-to/json-apis.md says what is supported.', { exit: 2 }),
  API_OPERATION_UNKNOWN: row(404, 'not-supported', 'The API describes no such operation.', 'Compare method and path with the description of the API.'),
  API_CONTENT_TYPE: row(415, 'not-supported', 'The content type is not supported by this operation.', 'Send the JSON media type that the API describes, in UTF-8; forms and multipart bodies cannot be sealed.'),
  API_BODY_INVALID: row(400, 'invalid', 'The body is not as the API describes it.', 'Compare it with the schema of the operation.'),
  API_BODY_UNMAPPED: row(501, 'not-supported', 'This operation takes a body without a schema, so nothing says what identifies.', 'Describe its schema, or list the operation in allowUnmappedPlaintextRequests.'),
  API_RESERVED_VALUE: row(400, 'value', 'A value or member is reserved for the gateway.', 'Remove members that hold ciphertexts, and values that begin like a sealed value or a blind index.'),
  API_ID_REFUSED: row(400, 'value', 'An id is not acceptable: ids are not sealed and must not tell who someone is.', 'Use a random id in the body and in the address.'),
  API_BODY_TOO_LARGE: row(413, 'too-long', 'The body holds more objects and identifying values than are sealed at once.', 'Send it in several requests; docs/how-to/json-apis.md names the limit.'),
  API_SUBJECT_MISSING: row(422, 'required', 'The body does not say whose record it is.', 'Send the member that x-phi-subject names.'),
  API_PARAM_UNSUPPORTED: row(400, 'not-supported', 'A parameter is not described, or comes more often than it may.', 'Send the parameters that the API describes.'),
  API_PARAM_INVALID: row(400, 'invalid', 'A parameter has a value that the API does not describe.', 'Correct the value.'),
  API_PHI_IN_URL: row(400, 'security', 'Identifying values must not stand in a URL.', 'POST the same parameters to the same path with /_search behind it, as application/x-www-form-urlencoded.'),
  API_NOT_FOUND: row(404, 'not-found', 'No such record.', 'Check the path.'),
  API_CONFLICT: row(409, 'conflict', 'The API refused the write because of a conflict.', 'Read the record again and repeat the change.'),
  API_PRECONDITION: row(412, 'conflict', 'The version in If-Match is not the current one.', 'Read the record again and repeat the change.'),
  API_UPSTREAM_REFUSED: row(422, 'processing', 'The API behind the gateway refused the request.', 'Compare the request with what the API expects.'),
  API_UNAVAILABLE: row(503, 'transient', 'The API behind the gateway does not answer.', 'Try again in a moment.'),
  API_BUSY: row(429, 'throttled', 'The API behind the gateway takes no more requests for now.', 'Wait, then try again; nothing was changed.'),
  API_RESPONSE_INVALID: row(502, 'exception', 'The API behind the gateway answered with something that it does not describe.', 'Nothing of it was passed through. See the gateway log for the correlation id.'),
  API_RESPONSE_TOO_LARGE: row(502, 'too-long', 'The API answered with more objects and identifying values than are opened at once.', 'Nothing of it was passed through. Ask for smaller pages; docs/how-to/json-apis.md names the limit.'),
  API_RESPONSE_UNMAPPED: row(502, 'security', 'The API answered with a body that has no schema, so nothing says what identifies.', 'Nothing of it was passed through. Describe its schema, or list the operation in allowUnmappedPlaintextResponses.'),

  // store
  STORE_NOT_AUTHENTIC: row(500, 'security', 'A stored record does not open.', 'It was altered or moved in the database; nothing of it was shown. Restore it from a backup and review who could write there.'),
  STORE_CONTENDED: row(503, 'transient', 'Too many writers want the same record at once.', 'Try again in a moment; nothing was written.'),

  // admin
  ADMIN_NO_STORE: row(404, 'not-supported', 'There is no built-in store here.', 'The FHIR server named in gateway.upstreamUrl holds the records; ask it.'),
  ADMIN_NOT_FOUND: row(404, 'not-found', 'There is nothing at this address of the admin API.', 'Probes are /healthz, /readyz and /metrics; the API is below /v1.'),
  ADMIN_QUERY_INVALID: row(400, 'invalid', 'A parameter of the request is unknown or has a value that cannot be read.', 'Correct the parameters it names.'),

  // cli
  CLI_USAGE: row(400, 'invalid', 'The command was not understood.', 'Run it with --help.', { exit: 2 }),
  CLI_NOT_READY: row(503, 'transient', 'Keyward is not running here.', 'Start it with "npm start", or name its data directory with --data-dir.', { exit: 3 }),
  CLI_NO_DEV_ISSUER: row(403, 'forbidden', 'There is no development issuer here.', 'A real issuer is configured: request a token from it.', { exit: 3 }),
  CLI_TOKEN: row(400, 'invalid', 'There is no access token in the file.', 'Name a file that holds nothing but the token, or set KEYWARD_TOKEN.', { exit: 2 }),
  CLI_CERTIFICATE: row(422, 'security', 'The certificate does not verify.', 'It was altered, or another key signed it: "keyward keys signing-keys" lists those of an instance. Do not rely on it.', { exit: 1 }),
  CLI_APPROVER_KEY: row(400, 'invalid', 'The approver key cannot be used.', 'Make one with "keyward keys enroll", or name its file with --key-file; nobody but you may read it (mode 0600).', { exit: 2 }),
  CLI_REQUEST_DIFFERS: row(409, 'security', 'The request that was shown is not the one to be signed.', 'Nothing was signed. What it says and its digest do not agree: ask the operator of the custodian.', { exit: 5 }),
  CLI_INPUT: row(400, 'invalid', 'A file could not be read as FHIR JSON.', 'Name files or folders that hold FHIR JSON resources or bundles.', { exit: 2 }),
  CLI_REQUEST_FAILED: row(502, 'processing', 'A request was refused.', 'Follow the code and hint given with it; docs/reference/errors.md has all codes.', { exit: 1 }),
  CLI_BACKFILL_SKIPPED: row(409, 'incomplete', 'Some records were left as they are.', 'Look at the codes above: correct these records at the upstream, and run the same command again.', { exit: 1 }),
  CLI_UPSTREAM: row(502, 'transient', 'The FHIR server could not be read.', 'Check its address and the Authorization header; it must answer GET in FHIR JSON.', { exit: 3 }),
  CLI_INDEX_LEAKS: row(422, 'business-rule', 'At least one index tells too much about its values.', 'Override the elements of the classes named (docs/how-to/what-is-sealed.md): seal finds nothing, and tells nothing.'),
  CLI_NO_PATIENT: row(404, 'not-found', 'There is no patient here yet.', 'Load some with "keyward demo load".', {
    exit: 1,
  }),
  CLI_INTERRUPTED: row(503, 'transient', 'Interrupted before the end.', 'Run the same command again: it goes on where it stopped.', { exit: 130 }),
  CLI_CHECK_FAILED: row(500, 'processing', 'At least one check failed.', 'Follow the hints of the failed checks above.'),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a row in the table. `detail` is public and must hold no value of the request; `cause` goes to the log only. */
export class KeywardError extends Error {
  readonly code: ErrorCode;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, options: { detail?: string | undefined; cause?: unknown } = {}) {
    super(
      options.detail ? `${code}: ${options.detail}` : code,
      'cause' in options ? { cause: options.cause } : undefined,
    );
    this.name = 'KeywardError';
    this.code = code;
    this.detail = options.detail;
  }

  get row(): ErrorRow {
    return ERRORS[this.code];
  }
}

/** Whatever was thrown, as a coded error: errors of the SDK keep their code, what has none becomes CORE_INTERNAL; the cause is kept for the log. */
export function asKeywardError(thrown: unknown): KeywardError {
  if (thrown instanceof KeywardError) return thrown;
  const code = thrown instanceof Error ? (thrown as { code?: unknown }).code : undefined;
  const known = typeof code === 'string' && Object.hasOwn(ERRORS, code);
  return new KeywardError(known ? (code as ErrorCode) : 'CORE_INTERNAL', { cause: thrown });
}

/** RFC 9457 problem document. */
export function toProblem(error: KeywardError, correlationId: string): Record<string, unknown> {
  const { status, text, hint, retry } = error.row;
  return {
    type: 'about:blank',
    title: text,
    status,
    code: error.code,
    detail: error.detail ?? hint,
    hint,
    retry,
    correlationId,
  };
}

/** FHIR R4 OperationOutcome with the stable code in `details.coding`. */
export function toOperationOutcome(error: KeywardError, correlationId: string): Record<string, unknown> {
  const { issue, text, hint } = error.row;
  return {
    resourceType: 'OperationOutcome',
    id: correlationId,
    issue: [
      {
        severity: 'error',
        code: issue,
        details: { coding: [{ system: 'urn:keyward:error', code: error.code }], text },
        diagnostics: error.detail ? `${error.detail} ${hint}` : hint,
      },
    ],
  };
}
