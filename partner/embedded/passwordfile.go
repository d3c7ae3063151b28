package embedded

import "path/filepath"

// PasswordFile is where the password is kept, mode 0600; it does not hold one
// that was given in Options.
func (p *pair) PasswordFile() string { return filepath.Join(p.folder.dir, passwordFile) }
