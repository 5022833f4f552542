package main

// japaneseRemarks are what a check remarks on a sound policy file.
func japaneseRemarks() []phrase {
	return []phrase{
		{"its line is neither encrypted nor signed (insecure: true), and what somebody changes on the way is not found", "この接続は暗号化も署名もされず（insecure: true）、途中で書き換えられても気づけません"},
		{"%s is UTC%s: the names of these zones have their signs the other way round; write a place, such as Asia/Tokyo", "{1} は UTC{2} です。この種の名前は符号が逆です。Asia/Tokyo のような地名で書いてください"},
		{"it has no probe, so it is proven shut by its switch alone; name a host behind it that must fall silent", "probe がなく、閉鎖の確認はスイッチの返答だけが頼りです。閉じている間に応答しなくなるべき、扉の先のホストを指定してください"},
		{"it has a probe and no control: its silence proves more while another host of that segment answers; name one", "probe はありますが control がありません。同じセグメントの別のホストが応答していれば、probe の無応答はより確かな証拠になります。指定してください"},
		{"it keeps the last days and nothing older: damage that is found late has no generation from before it; write daily, weekly and monthly too, such as {last: 10, daily: 14, weekly: 8, monthly: 12}", "直近の日数分しか残しません。損傷に気付くのが遅れると、それより前の世代がありません。daily、weekly、monthly も書いてください。例: {last: 10, daily: 14, weekly: 8, monthly: 12}"},
		{"it changes nothing: the vault's host gives receipts, and keeps by the keep of its own policy file; leave it out here", "効果がありません。受領証を出すこの二次保管先のホストは、自分の設定ファイルの keep に従って世代を残します。ここからは消してください"},
		{"%s cannot be kept: by schedule and quiet hours, up to %s lie between two runs, and a run takes its time; write %s or more, or gather more often", "{1} は守れません。予定と quiet_hours によると、収集の間隔が最長 {2} あき、収集自体にも時間がかかります。{3} 以上にするか、収集の回数を増やしてください"},
		{"it names days of the month and days of the week, and runs on each day that is one or the other", "日と曜日の両方が指定されているため、どちらかに当たる日すべてに動きます"},
	}
}
