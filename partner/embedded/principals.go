package embedded

import (
	"context"
	"strings"

	"github.com/mirrorstate/mirrorstate/partner/embedded/tsql"
)

// principal makes, changes or removes a role or a user.
func (c *catalogueWriter) principal(st *tsql.Definition) error {
	name := st.Name.Object
	kind := map[string]string{"ROLE": kindRole, "USER": kindUser}[st.Kind]
	exists := c.set.has(kindRole, name) || c.set.has(kindUser, name) || fixedRole(name)
	switch {
	case st.Verb == "CREATE" && exists:
		return message(15023, 16, "User, group, or role '%s' already exists in the current database.", name)
	case st.Verb == "CREATE" && st.Kind == "USER":
		return c.createUser(st)
	case st.Verb == "CREATE":
		return c.add(&objectRow{kind: kindRole, name: name})
	case st.Verb == "DROP" && !c.set.has(kind, name):
		return message(15151, 16, "Cannot drop the %s '%s', because it does not exist or you do not have permission.", strings.ToLower(st.Kind), name)
	case st.Verb == "DROP":
		return c.dropPrincipal(kind, name)
	case st.Kind == "USER":
		return c.alterUser(st)
	}
	return c.member(st)
}

// fixedRole tells whether the role is there in every database.
func fixedRole(name string) bool {
	return strings.EqualFold(name, "db_owner") || strings.EqualFold(name, "public") || strings.EqualFold(name, "dbo")
}

// createUser is CREATE USER … FOR LOGIN.
func (c *catalogueWriter) createUser(st *tsql.Definition) error {
	sid, err := c.sidFor(st.Other)
	if err != nil {
		return err
	}
	for _, u := range c.set.of(kindUser) {
		if u.detail == sid && sid != "" {
			return message(15063, 16, "The login already has an account under a different user name.")
		}
	}
	return c.add(&objectRow{kind: kindUser, name: st.Name.Object, detail: sid})
}

// alterUser is ALTER USER … WITH LOGIN: the user becomes that login's.
func (c *catalogueWriter) alterUser(st *tsql.Definition) error {
	if !c.set.has(kindUser, st.Name.Object) {
		return message(15151, 16, "Cannot alter the user '%s', because it does not exist or you do not have permission.", st.Name.Object)
	}
	sid, err := c.sidFor(st.Other)
	if err != nil {
		return err
	}
	return c.add(&objectRow{kind: kindUser, name: st.Name.Object, detail: sid})
}

// sidFor is the SID of a login of this server, as in the catalogue; "" for WITHOUT LOGIN. 15007: there is none.
func (c *catalogueWriter) sidFor(login string) (string, error) {
	switch {
	case login == "":
		return "", nil
	case strings.EqualFold(login, userName):
		return "", message(15063, 16, "The login already has an account under a different user name.")
	}
	l := loginIn(c.d.instance.masterObjects(), login)
	if l == nil {
		return "", message(15007, 16, "'%s' is not a valid login or you do not have permission.", login)
	}
	return l.sid, nil
}

// dropPrincipal removes a user with its memberships, or a role without members.
func (c *catalogueWriter) dropPrincipal(kind, name string) error {
	mine := func(r *objectRow) bool { return hasSuffixFold(r.name, "/"+name) }
	if kind == kindRole {
		for _, m := range c.set.of(kindMember) {
			if hasPrefixFold(m.name, name+"/") {
				return message(15144, 16, "The role has members. It must be empty before it can be dropped.")
			}
		}
	}
	if err := c.dropIf(kindMember, mine); err != nil {
		return err
	}
	if err := c.dropIf(kindGrant, func(r *objectRow) bool { return hasPrefixFold(r.name, name+"/") }); err != nil {
		return err
	}
	return c.drop(kind, name)
}

// member is ALTER ROLE … ADD or DROP MEMBER.
func (c *catalogueWriter) member(st *tsql.Definition) error {
	role, name := st.Name.Object, st.Other
	if !c.set.has(kindRole, role) && !fixedRole(role) {
		return message(15151, 16, "Cannot alter the role '%s', because it does not exist or you do not have permission.", role)
	}
	if !c.set.has(kindUser, name) && !c.set.has(kindRole, name) {
		return message(15151, 16, "Cannot %s the principal '%s', because it does not exist or you do not have permission.",
			map[string]string{"ADD MEMBER": "add", "DROP MEMBER": "drop"}[st.Action], name)
	}
	if st.Action == "DROP MEMBER" {
		return c.drop(kindMember, role+"/"+name)
	}
	return c.add(&objectRow{kind: kindMember, name: role + "/" + name})
}

// grant runs GRANT and REVOKE.
func (b *batch) grant(ctx context.Context, st *tsql.Grant) error {
	if st.Verb == "DENY" {
		return notSupported("Statement 'DENY'")
	}
	if st.On.Object == "" && serverRights[st.Permissions[0]] {
		return b.grantServer(ctx, st)
	}
	d, err := b.s.here(st.On)
	if err != nil {
		return err
	}
	if err := b.s.mayOwn(d, st.Verb); err != nil {
		return err
	}
	return b.s.writing(ctx, d, func(w *writer) error {
		c, err := openCatalogue(w, d)
		if err != nil {
			return err
		}
		on := st.On.Object
		switch {
		case !c.set.has(kindRole, st.To) && !c.set.has(kindUser, st.To) && !fixedRole(st.To):
			return message(15151, 16, "Cannot find the user '%s', because it does not exist or you do not have permission.", st.To)
		case on != "" && !c.set.has(kindTable, on) && !c.set.has(kindProcedure, on):
			return message(15151, 16, "Cannot find the object '%s', because it does not exist or you do not have permission.", on)
		}
		for _, permission := range st.Permissions {
			name := st.To + "/" + permission + "/" + on
			if st.Verb == "REVOKE" {
				err = c.drop(kindGrant, name)
			} else {
				err = c.add(&objectRow{kind: kindGrant, name: name})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
