package main

import (
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/sinkhole/reply"
)

// sinkWith puts in force what the sinkhole works with: the owner's authority
// and the replies in place of blocked servers. On an error all stays as it was.
func (g *gateway) sinkWith(s *home.Settings) error {
	ca, err := loadCA(s)
	if err != nil {
		return err
	}
	replies, err := reply.Load(s.Home.RepliesDir())
	if err != nil {
		return err
	}
	g.sinkhole.SetReplies(replies)
	return g.sinkhole.SetCA(ca)
}
