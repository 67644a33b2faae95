import tornado.ioloop
import tornado.template
import tornado.web


class Card(tornado.web.RequestHandler):
    source = "<blockquote>{{ motto }}</blockquote>"

    def get(self):
        motto = self.get_argument("motto", "Carpe diem")
        card = tornado.template.Template(self.source)
        self.write(card.generate(site="cards", motto=motto))


def main():
    tornado.web.Application([(r"/card", Card)]).listen(8888)
    tornado.ioloop.IOLoop.current().start()
