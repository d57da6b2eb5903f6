// Opaque handles only: the headers of ATen name these types, and we never use them.
#pragma once
typedef struct cusparseContext* cusparseHandle_t;
enum cusparseStatus_t : unsigned { CUSPARSE_STATUS_SUCCESS = 0 };
