package config_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/mirrorstate/mirrorstate/config"
)

// A configuration from the environment alone, as in a container.
func ExampleLoad() {
	environment := map[string]string{
		"MIRRORSTATE_PAIR_A_ADDRESS": "sql1.example.net",
		"MIRRORSTATE_PAIR_B_ADDRESS": "sql2.example.net:1444",
		"MIRRORSTATE_PAIR_USER":      "web",
		"MIRRORSTATE_PAIR_PASSWORD":  "p4ss",
	}
	lookup := func(name string) (string, bool) { v, ok := environment[name]; return v, ok }
	c, err := config.Load("", lookup, config.Flag("--api", "api.listen", "127.0.0.1:9090"))
	if err != nil {
		log.Fatal(err)
	}
	pair, configured := c.Partners()
	fmt.Println(configured, pair.Servers[0].Address, pair.Servers[1].Address, pair.Servers[0].Password)
	fmt.Println(c.API.Listen, c.Pair.Hold.Window)

	_, err = config.Load("", lookup, config.Flag("--api", "api.listen", "nowhere"))
	var mistakes config.Mistakes
	fmt.Println("refused:", errors.As(err, &mistakes))
	for _, m := range mistakes {
		fmt.Println(m.Key)
	}
	// Output:
	// true sql1.example.net sql2.example.net,1444 ********
	// 127.0.0.1:9090 30s
	// refused: true
	// api.listen
}

// The connection string of a web.config. Nothing prints the password.
func ExampleParsePair() {
	pair, err := config.ParsePair("Data Source=SQL1;Failover Partner=SQL2,1444;Initial Catalog=ASPState;User ID=web;Password=p4ss;MultipleActiveResultSets=true")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range pair.Servers {
		fmt.Println(s.Address, s.User, s.Password)
	}
	fmt.Println(pair.Database, pair.Ignored)

	_, err = config.ParsePair("Data Source=SQL1;Password=p4ss")
	fmt.Println("one server is no pair:", err != nil)
	// Output:
	// SQL1 web ********
	// SQL2,1444 web ********
	// ASPState [multiple active result sets]
	// one server is no pair: true
}
