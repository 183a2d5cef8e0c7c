// As much of the C library's header as coreproc.h needs, so that reading it takes no compiler and gives the same everywhere.
#pragma once
typedef __SIZE_TYPE__ size_t;
