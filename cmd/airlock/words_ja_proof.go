package main

// japaneseDoors is what this program says of doors, their ports and their probes.
func japaneseDoors() []phrase {
	return []phrase{
		{"note: door %s has no probe, so it is proven shut by its switch alone; name a host behind it that must fall silent", "注意: 扉 {1} には probe がなく、閉鎖の確認はスイッチの返答だけが頼りです。閉鎖中に応答しなくなるべき、扉の先のホストを指定してください"},
		{"note: door %s has a probe and no control: its silence proves more while another host of that segment answers; name one", "注意: 扉 {1} には probe がありますが control がありません。同じセグメントの別のホストが応答していれば、probe の無応答はより確かな証拠になります。指定してください"},
	}
}

// japaneseDoorsHeard is what the executor says of them.
func japaneseDoorsHeard() []phrase {
	return []phrase{
		{"door %s: its probe can prove nothing now: %s", "扉 {1}: 応答確認（probe）の無応答が、今は閉鎖の証拠になりません: {2}"},
		{"own link %s is down", "自分側のリンク {1} が切れています"},
		{"control %s silent", "control {1} も応答しません"},
		{"gateway %s silent", "ゲートウェイ {1} も応答しません"},
	}
}
