// Package hostile gathers from ten honest sources beside five that lie, hang or have no
// end, and measures what that costs the honest ones, and in memory. The honest ones are
// real Samba and OpenSSH, and so are those hostile ones that need no lie; the others are
// an SFTP server that lies. Its test needs Linux and the lab of package lab.
package hostile
