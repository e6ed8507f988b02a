/** What errors of AWS KMS mean here. */
import { type FaultTable, faultOf } from '../cloud/fault.ts';

/** Names of exceptions in the KMS API reference, under Decrypt, Encrypt, DescribeKey and Common errors. The rest goes by its status. */
// biome-ignore format: a table
const FAULTS: FaultTable = {
  AccessDeniedException:      'KEYS_ROOT_REFUSED',
  DisabledException:          'KEYS_ROOT_REFUSED',
  KMSInvalidStateException:   'KEYS_ROOT_REFUSED',
  InvalidKeyUsageException:   'KEYS_ROOT_REFUSED',
  InvalidGrantTokenException: 'KEYS_ROOT_REFUSED',
  NotFoundException:          'KEYS_ROOT_REFUSED',
  IncorrectKeyException:      'KEYS_ROOT_MISMATCH',
  InvalidCiphertextException: 'KEYS_NOT_AUTHENTIC',
  DependencyTimeoutException: 'KEYS_ROOT_UNAVAILABLE',
  KeyUnavailableException:    'KEYS_ROOT_UNAVAILABLE',
  KMSInternalException:       'KEYS_ROOT_UNAVAILABLE',
  LimitExceededException:     'KEYS_ROOT_UNAVAILABLE',
  ThrottlingException:        'KEYS_ROOT_UNAVAILABLE',
  /** The SDK fetches new credentials before the next attempt. */
  ExpiredTokenException:      'KEYS_ROOT_UNAVAILABLE',
  /** No credentials to be had: of a role, that passes with its metadata service. */
  CredentialsProviderError:   'KEYS_ROOT_UNAVAILABLE',
};

export const kmsFault = (thrown: unknown) => faultOf('AWS KMS', FAULTS, thrown);
