/* Found with the build tag coreproc_vendor where nothing is vendored yet. */
#error "run `make go-vendor` in coreproc's repository first: the build tag coreproc_vendor needs what it puts into vendored/"
