package repository

import airlock "airlock/blob" // kopia's own package is called so too

// Blob is one blob of the repository as the catalogue knows it.
type Blob = airlock.Blob

// Fault is a blob that is not as it was written.
type Fault = airlock.Fault
