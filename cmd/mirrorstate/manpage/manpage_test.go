package manpage

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func shop() (root, order *cobra.Command) {
	root = &cobra.Command{Use: "shop", Short: "Sell things", Long: "Sells things.\n.dotted, and a \\ in it.\n\n  indented - as it is\n\nThe end.", Run: func(*cobra.Command, []string) {}}
	root.PersistentFlags().Bool("verbose", false, "say more")
	order = &cobra.Command{Use: "order NAME", Short: "Order a thing", Example: "  shop order tea --size 2", Run: func(*cobra.Command, []string) {}}
	order.Flags().IntP("size", "s", 1, "how many; at most `N…`")
	order.Flags().String("secret", "", "not shown")
	_ = order.Flags().MarkHidden("secret")
	root.AddCommand(order, &cobra.Command{Use: "hidden", Hidden: true, Run: func(*cobra.Command, []string) {}})
	return root, order
}

func TestPage(t *testing.T) {
	root, order := shop()
	b := Book{Version: "v1.2.3", Date: time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC), Sections: []Section{{"FILES", []Item{{"/etc/shop", "What is sold."}}}}}
	for _, c := range []struct {
		name string
		cmd  *cobra.Command
		want string
	}{
		{"the program", root, `.TH "SHOP" 1 "2026\-11\-30" "shop v1.2.3" "shop manual"
.SH "NAME"
shop \- Sell things
.SH "SYNOPSIS"
\fBshop COMMAND [flags]\fR
.SH "DESCRIPTION"
Sells things.
\&.dotted, and a \e in it.
.PP
.RS 4
.nf
indented \- as it is
.fi
.RE
.PP
The end.
.SH "COMMANDS"
.TP
.BR shop\-order (1)
Order a thing
.SH "OPTIONS"
.TP
\fB\-\-verbose\fR
say more
.SH "FILES"
.TP
\fB/etc/shop\fR
What is sold.
`},
		{"a command", order, `.TH "SHOP\-ORDER" 1 "2026\-11\-30" "shop v1.2.3" "shop manual"
.SH "NAME"
shop\-order \- Order a thing
.SH "SYNOPSIS"
\fBshop order NAME [flags]\fR
.SH "DESCRIPTION"
Order a thing.
.SH "OPTIONS"
.TP
\fB\-s\fR, \fB\-\-size\fR \fIN\[u2026]\fR
how many; at most N\[u2026] (default 1)
.SH "INHERITED OPTIONS"
.TP
\fB\-\-verbose\fR
say more
.SH "EXAMPLES"
.RS 4
.nf
shop order tea \-\-size 2
.fi
.RE
.SH "SEE ALSO"
.BR shop (1)
`},
	} {
		if got := string(Page(c.cmd, b)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestWrite(t *testing.T) {
	root, _ := shop()
	dir := t.TempDir()
	if err := Write(dir, root, Book{}); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(pages) != 2 || filepath.Base(pages[0]) != "shop-order.1" || filepath.Base(pages[1]) != "shop.1" {
		t.Errorf("got %v, %v", pages, err)
	}
	if err := Write(filepath.Join(dir, "absent"), root, Book{}); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}
