/** Links of an export: all that is to be known of it stands in them, sealed for the caller; the gateway keeps nothing. */
import type { Json } from '@keyward/sdk/seal';
import { openForCaller, sealForCaller, type TokenSite } from '../caller-token.ts';
import type { Exchange } from '../exchange.ts';
import type { ExportRequest } from './request.ts';

/** An export that was begun. */
export interface ExportJob extends ExportRequest {
  /** Nothing that changed after this instant is in it. */
  readonly transactionTime: string;
}

/** One file of it. */
export interface ExportFile extends Omit<ExportJob, 'types'> {
  readonly type: string;
}

const site = (name: 'status' | 'file'): TokenSite => ({
  objectType: 'Export',
  objectId: 'link',
  path: `export/${name}`,
});

export const statusUrl = async (exchange: Exchange, job: ExportJob): Promise<string> =>
  `${exchange.gateway.publicBase}/$export-status/${await sealForCaller(exchange, site('status'), asJson(job))}`;

export const fileUrl = async (exchange: Exchange, file: ExportFile): Promise<string> =>
  `${exchange.gateway.publicBase}/$export-file/${await sealForCaller(exchange, site('file'), asJson(file))}`;

/** What is sealed is JSON: a member that is undefined is not there. */
const asJson = (content: ExportJob | ExportFile): Json => JSON.parse(JSON.stringify(content)) as Json;

/** The token stands where an id would. @throws KeywardError `FHIR_EXPORT_LINK` */
export const openStatusLink = async (exchange: Exchange): Promise<ExportJob> =>
  (await openForCaller(exchange, site('status'), exchange.route.id, 'FHIR_EXPORT_LINK')) as unknown as ExportJob;

export const openFileLink = async (exchange: Exchange): Promise<ExportFile> =>
  (await openForCaller(exchange, site('file'), exchange.route.id, 'FHIR_EXPORT_LINK')) as unknown as ExportFile;
