package server

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"
)

// NotifyVariable names the socket of a service manager that wants to be told how we are.
const NotifyVariable = "NOTIFY_SOCKET"

// notifyTime bounds telling it: a datagram is taken at once, or the manager's queue is full.
const notifyTime = time.Second

// notifier tells the service manager that started us, systemd with Type=notify, how we are. Where there is none
// it tells nobody. Source: sd_notify(3).
type notifier struct {
	socket string
	log    *slog.Logger
}

func newNotifier(log *slog.Logger) notifier { return notifier{os.Getenv(NotifyVariable), log} }

// tell sends one message of lines such as READY=1. That it can't is logged and does no harm.
func (n notifier) tell(message string) {
	if n.socket == "" {
		return
	}
	if err := n.send(message); err != nil {
		n.log.Warn("the service manager could not be told", "socket", n.socket, "message", message, "error", err)
	}
}

func (n notifier) send(message string) error {
	// An @ stands for Linux's abstract names; Go takes it for the same.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(notifyTime)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}

// ready, reloading and stopping are the three things it is told.
func (n notifier) ready(status string) { n.tell("READY=1\nSTATUS=" + status) }

func (n notifier) reloading() { n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic())) }

func (n notifier) stopping(status string) { n.tell("STOPPING=1\nSTATUS=" + status) }
