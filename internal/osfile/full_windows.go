package osfile

import "syscall"

// fullErrors are the errors of a disk without room and of a quota that is used
// up: ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL and ERROR_DISK_QUOTA_EXCEEDED.
var fullErrors = []syscall.Errno{112, 39, 1295}
