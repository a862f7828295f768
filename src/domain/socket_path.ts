/** The longest path that the address of a Unix socket can hold. The client, which loads next to nothing, has its own. */
export const MAX_SOCKET_PATH_BYTES = 107;
